/** A message as the log and the message store have it. */
import { randomUUID } from 'node:crypto'
import { MessageType } from '../../src/log/event.ts'
import type { MessageRow } from '../../src/log/event-json.ts'

/** @param createdAt a time, or its milliseconds since the epoch */
export function messageRow(roomId: string, createdAt: number | Date, fields: Partial<MessageRow> = {}): MessageRow {
  return {
    roomId,
    messageId: randomUUID(),
    senderId: randomUUID(),
    clientMessageId: null,
    messageType: MessageType.Text,
    roomSeq: null,
    createdAt: new Date(createdAt),
    body: '{"text":"hello"}',
    ...fields,
  }
}
