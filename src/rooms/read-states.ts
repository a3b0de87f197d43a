/** How far members have read: marked on purpose here, and by every send in the log itself. */
import type { Queryable } from '../infra/postgres.ts'
import { EventType } from '../log/event.ts'
import type { LogTransactions } from '../log/transaction.ts'
import type { CurrentUser } from '../users/user.ts'
import type { RoomMember } from './room.ts'
import { membersOnly } from './room-access.ts'
import { findReadState, listReaders, type ReadState } from './room-repository.ts'
import { requireMember } from './room-service.ts'
import { saveRead } from './room-writes.ts'

export class ReadStates {
  readonly #db: Queryable
  readonly #transactions: LogTransactions

  constructor(db: Queryable, transactions: LogTransactions) {
    this.#db = db
    this.#transactions = transactions
  }

  /**
   * Marks everything read, or what is up to `roomSeq`; never backwards, and silent where nothing changes.
   * @throws AppError CONTENT_NOT_FOUND no such room; INSUFFICIENT_PERMISSIONS not a member
   */
  async markRead(user: CurrentUser, roomId: string, roomSeq: number | undefined): Promise<void> {
    // Most calls find nothing to change, and need not wait for the log's lock to learn that.
    if (nextRead(membersOnly(await findReadState(this.#db, roomId, user.id)), roomSeq) === undefined) return
    await this.#transactions.run(async (transaction) => {
      const next = nextRead(membersOnly(await findReadState(transaction, roomId, user.id)), roomSeq)
      if (next === undefined) return
      await saveRead(transaction, roomId, user.id, next)
      const body = { userId: user.id, roomId, roomSeq: next }
      await transaction.append({ type: EventType.UserReadChat, roomId, body: JSON.stringify(body) })
    })
  }

  /** @throws as `markRead` */
  async readers(user: CurrentUser, roomId: string): Promise<RoomMember[]> {
    await requireMember(this.#db, roomId, user)
    return listReaders(this.#db, roomId)
  }
}

/** The roomSeq to save, or `undefined` where nothing would change. */
function nextRead(state: ReadState, roomSeq: number | undefined): number | undefined {
  const { headRoomSeq, readRoomSeq, readAt, latestMessage } = state
  const next = Math.max(readRoomSeq ?? 0, Math.min(roomSeq ?? headRoomSeq, headRoomSeq))
  const readsOldMessages = readRoomSeq === null && latestMessage !== null && readAt !== null && latestMessage > readAt
  return next > (readRoomSeq ?? 0) || readAt === null || readsOldMessages ? next : undefined
}
