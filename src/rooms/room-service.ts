/** What members see of their rooms. */
import type { Queryable } from '../infra/postgres.ts'
import type { ObjectUrls } from '../objects/object-urls.ts'
import { pairOf } from '../relationships/relationship-repository.ts'
import { invalid, notFound } from '../shared/app-error.ts'
import type { CurrentUser } from '../users/user.ts'
import { type RoomMember, roomJson, roomsJson } from './room.ts'
import { membersOnly } from './room-access.ts'
import { findAccess, findPrivateRooms, findRoom, listMembers, listRooms, type RoomAccess } from './room-repository.ts'
import { mute, unmute } from './room-writes.ts'

/**
 * @returns the room as its members may touch it
 * @throws AppError CONTENT_NOT_FOUND no such room; INSUFFICIENT_PERMISSIONS not a member
 */
export async function requireMember(db: Queryable, roomId: string, user: CurrentUser): Promise<RoomAccess> {
  return membersOnly(await findAccess(db, roomId, user.id))
}

/** Rooms are JSON here. */
export class RoomService {
  readonly #db: Queryable
  readonly #urls: ObjectUrls

  constructor(db: Queryable, urls: ObjectUrls) {
    this.#db = db
    this.#urls = urls
  }

  async list(user: CurrentUser): Promise<string> {
    return roomsJson(await listRooms(this.#db, user.id), this.#urls)
  }

  /** @throws AppError CONTENT_NOT_FOUND no such room, or not a member: to others it does not exist */
  async get(user: CurrentUser, roomId: string): Promise<string> {
    const row = await findRoom(this.#db, user.id, roomId)
    if (!row) throw notFound('Room not found.')
    return roomJson(row, this.#urls)
  }

  /** @throws as `get` */
  async getWithUsers(user: CurrentUser, roomId: string): Promise<string> {
    const [room, users] = await Promise.all([this.get(user, roomId), listMembers(this.#db, roomId)])
    return `${room.slice(0, -1)},"users":${JSON.stringify(users)}}`
  }

  /** @throws as `requireMember` */
  async members(user: CurrentUser, roomId: string): Promise<RoomMember[]> {
    await requireMember(this.#db, roomId, user)
    return listMembers(this.#db, roomId)
  }

  /**
   * Stops pushes of the room for `user` alone, until then or until undone.
   * @throws as `requireMember`; VALIDATION_ERROR a time that is over
   */
  async mute(user: CurrentUser, roomId: string, until: Date | null): Promise<void> {
    await requireMember(this.#db, roomId, user)
    if (await mute(this.#db, roomId, user.id, until)) return
    // They may have left in between.
    await requireMember(this.#db, roomId, user)
    throw invalid('until: must be in the future')
  }

  /** @throws as `requireMember` */
  async unmute(user: CurrentUser, roomId: string): Promise<void> {
    await requireMember(this.#db, roomId, user)
    await unmute(this.#db, roomId, user.id)
  }

  /** @returns the id of the private room with the other, or null */
  async findPrivate(user: CurrentUser, otherId: string): Promise<string | null> {
    const [roomId] = await findPrivateRooms(this.#db, pairOf(user.id, otherId))
    return roomId ?? null
  }
}
