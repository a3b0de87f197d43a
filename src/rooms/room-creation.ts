/** Making a room: who may be in it, the room itself, and the event that tells each of them. */
import { randomUUID } from 'node:crypto'
import type { Queryable } from '../infra/postgres.ts'
import { EventType } from '../log/event.ts'
import type { LogTransaction, LogTransactions } from '../log/transaction.ts'
import { NEW_ROOM_PREVIEW } from '../messages/preview.ts'
import { findBlocked, pairOf } from '../relationships/relationship-repository.ts'
import { invalid, notFound } from '../shared/app-error.ts'
import type { CurrentUser } from '../users/user.ts'
import { newRoom, type Room, type RoomType } from './room.ts'
import { findPrivateRooms } from './room-repository.ts'
import { insertRoom, openMemberships } from './room-writes.ts'

export type NewRoomRequest = {
  roomType: RoomType
  /** Trimmed; required for a Group, without effect on a Single. */
  roomName: string | null
  /** Each once. */
  invitedUsers: string[]
}

type Guest = { id: string; displayName: string; profilePicture: string | null }

export class RoomCreation {
  readonly #transactions: LogTransactions

  constructor(transactions: LogTransactions) {
    this.#transactions = transactions
  }

  /**
   * @returns the room as the creator sees it
   * @throws AppError VALIDATION_ERROR the sender is missing, too few users are left, no name, or the private room
   * exists; CONTENT_NOT_FOUND an invited user does not exist
   */
  async create(creator: CurrentUser, request: NewRoomRequest): Promise<Room> {
    const invited = request.invitedUsers
    if (!invited.includes(creator.id)) throw invalid('invitedUsers: must contain yourself')
    if (request.roomType === 'Group' && request.roomName === null) throw invalid('roomName: is required for a Group')
    return this.#transactions.run(async (transaction) => {
      const guests = await this.#admit(transaction, creator, invited)
      if (request.roomType === 'Single') return this.#createSingle(transaction, creator, guests)
      return this.#createGroup(transaction, creator, request.roomName, guests)
    })
  }

  async #admit(transaction: LogTransaction, creator: CurrentUser, invited: string[]): Promise<Guest[]> {
    const guests = await findGuests(transaction, invited)
    if (guests.length < invited.length) throw notFound('User not found.')
    const blocked = new Set(await findBlocked(transaction, creator.id, invited))
    return guests.filter(({ id }) => !blocked.has(id))
  }

  async #createSingle(transaction: LogTransaction, creator: CurrentUser, guests: Guest[]): Promise<Room> {
    const [one, other] = guests
    if (guests.length !== 2 || !one || !other)
      throw invalid('invitedUsers: a Single room needs exactly two users, neither of whom blocked the other')
    if ((await findPrivateRooms(transaction, pairOf(one.id, other.id))).length > 0)
      throw invalid('invitedUsers: there is a Single room of the two already')
    const id = await this.#insert(transaction, 'Single', null, guests)
    const views = new Map<string, Room>()
    for (const [viewer, seen] of [
      [one, other],
      [other, one],
    ] as const) {
      const room = newRoom({
        id,
        roomType: 'Single',
        roomName: seen.displayName,
        roomImageUrl: seen.profilePicture,
        createdAt: transaction.time,
      })
      views.set(viewer.id, room)
      await this.#announce(transaction, creator, room, [viewer.id])
    }
    const room = views.get(creator.id)
    if (!room) throw new Error('the creator is not in the room')
    return room
  }

  async #createGroup(
    transaction: LogTransaction,
    creator: CurrentUser,
    roomName: string | null,
    guests: Guest[],
  ): Promise<Room> {
    if (guests.length < 2)
      throw invalid('invitedUsers: a Group needs at least two users, of whom none is in a block with you')
    const id = await this.#insert(transaction, 'Group', roomName, guests)
    const room = newRoom({ id, roomType: 'Group', roomName, roomImageUrl: null, createdAt: transaction.time })
    await this.#announce(
      transaction,
      creator,
      room,
      guests.map((guest) => guest.id),
    )
    return room
  }

  async #insert(
    transaction: LogTransaction,
    roomType: RoomType,
    roomName: string | null,
    guests: Guest[],
  ): Promise<string> {
    const id = randomUUID()
    await insertRoom(transaction, {
      id,
      roomType,
      roomName,
      preview: JSON.stringify(NEW_ROOM_PREVIEW),
      members: guests.map((guest) => guest.id),
    })
    return id
  }

  async #announce(transaction: LogTransaction, creator: CurrentUser, room: Room, recipients: string[]): Promise<void> {
    const seq = await transaction.append({
      type: EventType.NewRoom,
      roomId: room.id,
      recipients,
      makerId: creator.id,
      body: JSON.stringify({ room }),
    })
    await openMemberships(transaction, room.id, recipients, seq)
  }
}

function findGuests(db: Queryable, ids: string[]): Promise<Guest[]> {
  return db.query<Guest>(
    'rooms.guests',
    `select u.id, u.display_name as "displayName", u.profile_picture as "profilePicture"
    from app_user u where u.id = any ($1::uuid[]) and u.deleted_at is null order by u.id`,
    [ids],
  )
}
