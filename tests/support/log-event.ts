/** Events of the log as a test wants them, without a database. */
import { EventType, type LogEvent } from '../../src/log/event.ts'

/** A ChatMessage unless `fields` say otherwise. */
export function logEvent(seq: number, fields: Partial<LogEvent> = {}): LogEvent {
  return {
    seq,
    type: EventType.ChatMessage,
    roomId: 'room',
    recipients: null,
    roomSeq: null,
    messageId: null,
    senderId: null,
    clientMessageId: null,
    messageType: null,
    createdAt: null,
    preview: null,
    body: '{}',
    loggedAt: new Date(seq),
    ...fields,
  }
}
