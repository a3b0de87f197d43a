/** Sending, and the timeline: the log's newest part and the message store's rest as one. */
import { randomUUID } from 'node:crypto'
import type { Queryable } from '../infra/postgres.ts'
import { MessageType } from '../log/event.ts'
import { type MessageRow, messageJson } from '../log/event-json.ts'
import type { SendBatches } from '../log/send-batch.ts'
import { membersOnly } from '../rooms/room-access.ts'
import { notFound } from '../shared/app-error.ts'
import type { CurrentUser } from '../users/user.ts'
import { type NewMessage, previewOf, quote } from './message.ts'
import { findInLog, findTimelineAccess, pageOfLog } from './message-repository.ts'
import type { MessageStore } from './message-store.ts'

/** A page shorter than this means the room's beginning. */
export const TIMELINE_PAGE = 25

export class MessageService {
  readonly #db: Queryable
  readonly #batches: SendBatches
  readonly #store: MessageStore

  constructor(db: Queryable, batches: SendBatches, store: MessageStore) {
    this.#db = db
    this.#batches = batches
    this.#store = store
  }

  /**
   * @returns JSON of the Message, as its sender sees it
   * @throws AppError as `SendBatches.append`; CONTENT_NOT_FOUND the message replied to is not in this room
   */
  async send(sender: CurrentUser, message: NewMessage): Promise<string> {
    const body = message.type === 'Reply' ? await this.#quote(sender, message) : message.body
    const row = {
      roomId: message.roomId,
      senderId: sender.id,
      messageId: randomUUID(),
      clientMessageId: message.clientMessageId,
      messageType: MessageType[message.type],
      body: JSON.stringify(body),
    }
    const sent = await this.#batches.append({ ...row, preview: JSON.stringify(previewOf(message, sender.displayName)) })
    return messageJson({ ...row, ...sent }, true)
  }

  /**
   * @returns JSON of the messages created strictly before `before`, newest first
   * @throws AppError CONTENT_NOT_FOUND no such room; INSUFFICIENT_PERMISSIONS not a member
   */
  async timeline(reader: CurrentUser, roomId: string, before: Date): Promise<string> {
    const { archivedSeq } = membersOnly(await findTimelineAccess(this.#db, roomId, reader.id))
    // After the position: whatever is at or below it is in the store, whatever is above it in the log.
    const newest = await pageOfLog(this.#db, { roomId, before, limit: TIMELINE_PAGE }, archivedSeq)
    const missing = TIMELINE_PAGE - newest.length
    const older =
      missing > 0 ? await this.#store.page({ roomId, before: newest.at(-1)?.createdAt ?? before, limit: missing }) : []
    const page = [...newest, ...older].map((message) => messageJson(message, message.senderId === reader.id))
    return `[${page.join(',')}]`
  }

  async #quote(sender: CurrentUser, message: Extract<NewMessage, { type: 'Reply' }>) {
    const { replyMsgId, replyCreatedAt, replyText } = message.body
    const quoted = await this.#find(sender, message.roomId, replyCreatedAt, replyMsgId)
    if (!quoted) throw notFound('The message replied to was not found in this room.')
    return quote(quoted, replyText)
  }

  async #find(user: CurrentUser, roomId: string, createdAt: Date, messageId: string): Promise<MessageRow | undefined> {
    const { archivedSeq } = membersOnly(await findTimelineAccess(this.#db, roomId, user.id))
    return (
      (await findInLog(this.#db, roomId, createdAt, messageId, archivedSeq)) ??
      (await this.#store.find(roomId, createdAt, messageId))
    )
  }
}
