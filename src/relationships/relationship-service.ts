/** Friends, requests and blocks: each action reads the pair, asks the table, writes, and tells the other. */
import type { Queryable } from '../infra/postgres.ts'
import { EventType } from '../log/event.ts'
import type { LogTransaction, LogTransactions } from '../log/transaction.ts'
import { AppError, notFound } from '../shared/app-error.ts'
import type { CurrentUser, UserRow } from '../users/user.ts'
import { findUser } from '../users/user-repository.ts'
import { type Action, type PairState, type RelationshipType, relationshipType, transition } from './relationship.ts'
import {
  addToFriendsCount,
  findPairState,
  listFriendRequests,
  listFriends,
  type Pair,
  pairOf,
  savePairState,
} from './relationship-repository.ts'

/** Ends the private rooms of two people, inside the transaction that blocks one of them. */
export type EndPrivateRooms = (transaction: LogTransaction, pair: Pair) => Promise<void>

const MESSAGES: Record<Action, string> = {
  add: 'You cannot befriend this user.',
  accept: 'There is no friend request of this user.',
  reject: 'There is no friend request of this user.',
  remove: 'You are not friends with this user.',
  block: 'You cannot block this user.',
  unblock: 'You have not blocked this user.',
}

export class RelationshipService {
  readonly #db: Queryable
  readonly #transactions: LogTransactions
  readonly #endPrivateRooms: EndPrivateRooms

  constructor(db: Queryable, transactions: LogTransactions, endPrivateRooms: EndPrivateRooms) {
    this.#db = db
    this.#transactions = transactions
    this.#endPrivateRooms = endPrivateRooms
  }

  friends(user: CurrentUser): Promise<UserRow[]> {
    return listFriends(this.#db, user.id)
  }

  friendRequests(user: CurrentUser): Promise<UserRow[]> {
    return listFriendRequests(this.#db, user.id)
  }

  /**
   * @param otherId somebody else than `user`
   * @returns how the pair looks to `user` afterwards
   * @throws AppError VALIDATION_ERROR no such step from here; CONTENT_NOT_FOUND no such user or nothing to act on;
   * INSUFFICIENT_PERMISSIONS blocked
   */
  async act(user: CurrentUser, action: Action, otherId: string): Promise<RelationshipType> {
    return this.#transactions.run(async (transaction) => {
      if (!(await findUser(transaction, otherId))) throw notFound('User not found.')
      const pair = pairOf(user.id, otherId)
      const side = pair.a === user.id ? 'A' : 'B'
      const before = await findPairState(transaction, pair)
      const result = transition(before, action, side)
      if ('error' in result) throw new AppError(result.error, MESSAGES[action])
      if (result.state !== before)
        await this.#change(transaction, { user, otherId, pair, before, after: result.state, action })
      return relationshipType(result.state, side === 'A')
    })
  }

  async #change(transaction: LogTransaction, change: Change): Promise<void> {
    const { user, otherId, pair, before, after, action } = change
    await savePairState(transaction, pair, after, transaction.time)
    if (after === 'FRIEND') await addToFriendsCount(transaction, pair, 1)
    if (before === 'FRIEND') await addToFriendsCount(transaction, pair, -1)
    if (action === 'block') await this.#endPrivateRooms(transaction, pair)
    if (action !== 'add' && action !== 'accept') return
    const fromUser = await findUser(transaction, user.id)
    await transaction.append({
      type: after === 'FRIEND' ? EventType.FriendRequestAccepted : EventType.FriendRequestReceived,
      recipients: [otherId],
      body: JSON.stringify({ fromUser }),
    })
  }
}

type Change = {
  user: CurrentUser
  otherId: string
  pair: Pair
  before: PairState | null
  after: PairState | null
  action: Action
}
