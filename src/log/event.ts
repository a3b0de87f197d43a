/** An event of the log: its kinds, its row, and the columns in which it is read. */

/** The numbers of `event.type`; migrations/0002_event_log.sql holds the same list. */
export const EventType = {
  ChatMessage: 1,
  RoomChangeEvent: 2,
  NewRoom: 3,
  LeaveRoom: 4,
  UserReadChat: 5,
  FriendRequestReceived: 6,
  FriendRequestAccepted: 7,
  SystemMessage: 8,
  /** Internal: a room is gone, and with it all of its events. Goes to nobody. */
  RoomDeleted: 9,
} as const
export type EventType = (typeof EventType)[keyof typeof EventType]

/** The numbers of `message_type`, in the log and in the message store. */
export const MessageType = { Text: 1, Media: 2, Reply: 3, RoomChange: 4 } as const
export type MessageType = (typeof MessageType)[keyof typeof MessageType]

/**
 * NewRoom and LeaveRoom are what membership is made of: a person sees a room's events between the seq of the one and
 * the seq of the other, both excluded.
 */
export type LogEvent = {
  seq: number
  type: EventType
  /** The room it is for; with `recipients`, the room it is about. */
  roomId: string | null
  /** The people it is for; null: the members of `roomId`. */
  recipients: string[] | null
  /** From here to `createdAt`: of messages (ChatMessage, RoomChangeEvent) only. */
  roomSeq: number | null
  messageId: string | null
  /** Also who made the room or invited into it, of a NewRoom; those from before ISM pushed have none. */
  senderId: string | null
  clientMessageId: string | null
  messageType: MessageType | null
  createdAt: Date | null
  /** JSON. */
  preview: string | null
  /** JSON: a message's Body, otherwise an object of the event's own fields. */
  body: string
  /** The log's clock: never falls along seq. */
  loggedAt: Date
}

/** A LogEvent's columns, of a table or alias `e`. */
export const EVENT_COLUMNS = `e.seq, e.type, e.room_id as "roomId", e.recipients, e.room_seq as "roomSeq",
  e.message_id as "messageId", e.sender_id as "senderId", e.client_message_id as "clientMessageId",
  e.message_type as "messageType", e.created_at as "createdAt", e.preview, e.body, e.logged_at as "loggedAt"`
