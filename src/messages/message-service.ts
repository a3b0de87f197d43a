/** Sending, and the timeline: the log's newest part and the message store's rest as one. */
import { randomUUID } from 'node:crypto'
import type { Queryable } from '../infra/postgres.ts'
import { MessageType } from '../log/event.ts'
import { type MessageRow, messageJson } from '../log/event-json.ts'
import type { SendBatches } from '../log/send-batch.ts'
import { membersOnly } from '../rooms/room-access.ts'
import { isUnavailable, notFound } from '../shared/app-error.ts'
import type { CurrentUser } from '../users/user.ts'
import { type NewMessage, previewOf, quote } from './message.ts'
import { findInLog, findTimelineAccess, logHasAllOf, pageOfLog } from './message-repository.ts'
import type { MessageStore, PageRequest } from './message-store.ts'

/** A page shorter than this means the room's beginning. */
const TIMELINE_PAGE = 25

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
    // Field by field: this is done for each send, and a spread costs more than all else here.
    const send = {
      roomId: message.roomId,
      senderId: sender.id,
      messageId: randomUUID(),
      clientMessageId: message.clientMessageId,
      messageType: MessageType[message.type],
      body: JSON.stringify(body),
      preview: JSON.stringify(previewOf(message, sender.displayName)),
    }
    const { messageId, roomSeq, createdAt } = await this.#batches.append(send)
    const { roomId, senderId, clientMessageId, messageType } = send
    const stored = { roomId, messageId, senderId, clientMessageId, messageType, roomSeq, createdAt, body: send.body }
    return messageJson(stored, true)
  }

  /**
   * @returns JSON of the messages created strictly before `before`, newest first
   * @throws AppError CONTENT_NOT_FOUND no such room; INSUFFICIENT_PERMISSIONS not a member; SERVICE_UNAVAILABLE the
   * message store is down, and the log does not have the whole page
   */
  async timeline(reader: CurrentUser, roomId: string, before: Date): Promise<string> {
    const { archivedSeq } = membersOnly(await findTimelineAccess(this.#db, roomId, reader.id))
    const messages = await this.#page({ roomId, before, limit: TIMELINE_PAGE }, archivedSeq)
    const page = messages.map((message) => messageJson(message, message.senderId === reader.id))
    return `[${page.join(',')}]`
  }

  /** @param archivedSeq read before: whatever is at or below it is in the store, whatever is above it in the log */
  async #page(request: PageRequest, archivedSeq: number): Promise<MessageRow[]> {
    const newest = await pageOfLog(this.#db, request, archivedSeq)
    const missing = request.limit - newest.length
    if (missing <= 0) return newest
    const before = newest.at(-1)?.createdAt ?? request.before
    return this.#unlessDown(
      async () => [...newest, ...(await this.#store.page({ ...request, before, limit: missing }))],
      async () => {
        const kept = await pageOfLog(this.#db, request, 0)
        const isWhole = kept.length >= request.limit || (await logHasAllOf(this.#db, request.roomId))
        return isWhole ? kept : undefined
      },
    )
  }

  /** While the store is down, the log still has what was archived in its last days. */
  async #unlessDown<T>(askStore: () => Promise<T>, askLog: () => Promise<T | undefined>): Promise<T> {
    try {
      return await askStore()
    } catch (error) {
      const kept = isUnavailable(error) ? await askLog() : undefined
      if (kept === undefined) throw error
      return kept
    }
  }

  async #quote(sender: CurrentUser, message: Extract<NewMessage, { type: 'Reply' }>) {
    const { roomId } = message
    const { replyMsgId, replyCreatedAt, replyText } = message.body
    const access = await findTimelineAccess(this.#db, roomId, sender.id)
    const quoted = access && (await this.#find(roomId, replyCreatedAt, replyMsgId, access.archivedSeq))
    // Who has left since may send again what was sent before: the log knows, and refuses everything else of theirs.
    if (!quoted || quoted.messageType === MessageType.RoomChange) membersOnly(access)
    if (!quoted) throw notFound('The message replied to was not found in this room.')
    return quote(quoted, replyText)
  }

  /** @param archivedSeq as for `#page` */
  async #find(
    roomId: string,
    createdAt: Date,
    messageId: string,
    archivedSeq: number,
  ): Promise<MessageRow | undefined> {
    const inLog = await findInLog(this.#db, roomId, createdAt, messageId, archivedSeq)
    return (
      inLog ??
      this.#unlessDown(
        () => this.#store.find(roomId, createdAt, messageId),
        () => findInLog(this.#db, roomId, createdAt, messageId, 0),
      )
    )
  }
}
