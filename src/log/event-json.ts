/** Events and messages as the wire has them. Stored JSON is spliced in as it is, never parsed on the way out. */
import { encodeCursor } from './cursor.ts'
import { EventType, type LogEvent, MessageType } from './event.ts'

const EVENT_NAMES = new Map<number, string>(Object.entries(EventType).map(([name, number]) => [number, name]))
const MESSAGE_NAMES = new Map<number, string>(Object.entries(MessageType).map(([name, number]) => [number, name]))

/** A message's columns, of the log or of the message store. */
export type MessageRow = {
  roomId: string
  messageId: string
  senderId: string
  clientMessageId: string | null
  messageType: MessageType
  /** null: from before the log. */
  roomSeq: number | null
  createdAt: Date
  /** JSON. */
  body: string
}

/** A MessageRow's columns, of a table or alias `m`: the log's and the message store's have the same names. */
export const MESSAGE_COLUMNS = `m.room_id as "roomId", m.message_id as "messageId", m.sender_id as "senderId",
  m.client_message_id as "clientMessageId", m.message_type as "messageType", m.room_seq as "roomSeq",
  m.created_at as "createdAt", m.body`

/** `clientMessageId` is shown to the sender alone. */
export function messageJson(message: MessageRow, forSender: boolean): string {
  const clientMessageId = forSender && message.clientMessageId ? `"${message.clientMessageId}"` : 'null'
  return `{"chatRoomId":"${message.roomId}","messageId":"${message.messageId}","senderId":"${message.senderId}","msgBody":${message.body},"msgType":"${messageTypeName(message.messageType)}","createdAt":"${message.createdAt.toISOString()}","roomSeq":${message.roomSeq},"clientMessageId":${clientMessageId}}`
}

export function messageTypeName(type: MessageType): string {
  return MESSAGE_NAMES.get(type) ?? 'Text'
}

/** Whether the sender's own devices see this event differently from the others. */
export function hasSenderView(event: LogEvent): boolean {
  return event.clientMessageId !== null
}

export function eventJson(event: LogEvent, epoch: string, forSender: boolean): string {
  const fields =
    event.type === EventType.ChatMessage || event.type === EventType.RoomChangeEvent
      ? `"message":${messageJson(messageOf(event), forSender)},"roomPreviewText":${event.preview ?? '{"type":"New"}'}`
      : event.body.slice(1, -1)
  return `{"type":"${EVENT_NAMES.get(event.type)}",${fields},"createdAt":"${event.loggedAt.toISOString()}","seq":${event.seq},"eventId":"${encodeCursor({ epoch, seq: event.seq })}"}`
}

/** The message that a ChatMessage or RoomChangeEvent carries. */
export function messageOf(event: LogEvent): MessageRow {
  const { roomId, messageId, senderId, messageType, createdAt } = event
  if (!roomId || !messageId || !senderId || !messageType || !createdAt)
    throw new Error(`event ${event.seq} is no message`)
  return {
    roomId,
    messageId,
    senderId,
    clientMessageId: event.clientMessageId,
    messageType,
    roomSeq: event.roomSeq,
    createdAt,
    body: event.body,
  }
}

export type ResyncReason = 'UNKNOWN_CURSOR' | 'OTHER_LOG' | 'TOO_OLD' | 'AHEAD_OF_LOG'

/** The first event for a client that the log cannot give all it missed: it reloads, and goes on from `eventId`. */
export function resyncJson(reason: ResyncReason, eventId: string): string {
  return `{"type":"Resync","reason":"${reason}","createdAt":"${new Date().toISOString()}","eventId":"${eventId}"}`
}
