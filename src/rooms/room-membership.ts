/** Coming and going: invitations, leaving, and the end of a room. */
import { randomUUID } from 'node:crypto'
import { EventType, MessageType } from '../log/event.ts'
import type { LogTransaction, LogTransactions } from '../log/transaction.ts'
import type { Preview } from '../messages/preview.ts'
import type { ObjectUrls } from '../objects/object-urls.ts'
import { findBlocked, type Pair } from '../relationships/relationship-repository.ts'
import { forbidden, invalid, notFound } from '../shared/app-error.ts'
import type { CurrentUser } from '../users/user.ts'
import { findUser } from '../users/user-repository.ts'
import { type RoomMember, roomJson } from './room.ts'
import { findAccess, findHead, findMember, findPrivateRooms, findRoom, listJoined } from './room-repository.ts'
import { requireMember } from './room-service.ts'
import { addGarbage, deleteRoom, joinRoom, leaveRoom, openMemberships } from './room-writes.ts'

export class RoomMembership {
  readonly #transactions: LogTransactions
  readonly #urls: ObjectUrls
  readonly #discardImage: (key: string) => Promise<void>

  constructor(transactions: LogTransactions, urls: ObjectUrls, discardImage: (key: string) => Promise<void>) {
    this.#transactions = transactions
    this.#urls = urls
    this.#discardImage = discardImage
  }

  /**
   * Makes the guest a member at once.
   * @throws AppError in this order: CONTENT_NOT_FOUND no room; INSUFFICIENT_PERMISSIONS not a member; VALIDATION_ERROR
   * a Single room; CONTENT_NOT_FOUND no such guest; INSUFFICIENT_PERMISSIONS blocked; VALIDATION_ERROR already in
   */
  async invite(host: CurrentUser, roomId: string, guestId: string): Promise<void> {
    await this.#transactions.run(async (transaction) => {
      const { roomType } = await requireMember(transaction, roomId, host)
      if (roomType === 'Single') throw invalid('room_id: nobody can be invited to a Single room')
      if (!(await findUser(transaction, guestId))) throw notFound('User not found.')
      if ((await findBlocked(transaction, host.id, [guestId])).length > 0)
        throw forbidden('You and this user are in a block.')
      if ((await findAccess(transaction, roomId, guestId))?.isMember)
        throw invalid('user_id: is already a member of this room')
      await this.#join(transaction, roomId, host.id, guestId)
    })
  }

  /**
   * Leaves a Group; ends a Single room for both, and a Group that nobody else is in.
   * @throws AppError CONTENT_NOT_FOUND no such room; INSUFFICIENT_PERMISSIONS not a member
   */
  async leave(user: CurrentUser, roomId: string): Promise<void> {
    const image = await this.#transactions.run(async (transaction) => {
      const { roomType } = await requireMember(transaction, roomId, user)
      const joined = await listJoined(transaction, roomId)
      if (roomType === 'Single' || joined.length === 1) return this.#end(transaction, roomId, joined)
      await this.#leaveGroup(transaction, roomId, user)
      return null
    })
    if (image !== null) await this.#discardImage(image)
  }

  /** Part of blocking: whatever private room the two have ends. */
  async endPrivateRooms(transaction: LogTransaction, pair: Pair): Promise<void> {
    for (const roomId of await findPrivateRooms(transaction, pair))
      await this.#end(transaction, roomId, await listJoined(transaction, roomId))
  }

  async #join(transaction: LogTransaction, roomId: string, hostId: string, guestId: string): Promise<void> {
    const head = await findHead(transaction, roomId)
    // Everything before is read, their own JOIN is not.
    await joinRoom(transaction, roomId, guestId, head.roomSeq)
    await this.#appendRoomChange(transaction, roomId, guestId, 'UserJoined')
    const row = await findRoom(transaction, guestId, roomId)
    if (!row) throw new Error('the guest is not in the room')
    const seq = await transaction.append({
      type: EventType.NewRoom,
      roomId,
      recipients: [guestId],
      makerId: hostId,
      body: `{"room":${roomJson(row, this.#urls)}}`,
    })
    await openMemberships(transaction, roomId, [guestId], seq)
  }

  async #leaveGroup(transaction: LogTransaction, roomId: string, user: CurrentUser): Promise<void> {
    // First the LeaveRoom: the RoomChange after it is for those who stay.
    const seq = await this.#appendLeaveRoom(transaction, roomId, [user.id])
    await leaveRoom(transaction, roomId, user.id, seq)
    await this.#appendRoomChange(transaction, roomId, user.id, 'UserLeft')
  }

  /** @returns the key of the room's image, which nobody refers to any more */
  async #end(transaction: LogTransaction, roomId: string, members: string[]): Promise<string | null> {
    const stored = await deleteRoom(transaction, roomId)
    const image = stored === null ? null : this.#urls.keyOf(stored)
    if (image !== null) await addGarbage(transaction, image)
    await this.#appendLeaveRoom(transaction, roomId, members)
    await transaction.append({ type: EventType.RoomDeleted, roomId, recipients: [], body: '{}' })
    return image
  }

  #appendLeaveRoom(transaction: LogTransaction, roomId: string, recipients: string[]): Promise<number> {
    return transaction.append({ type: EventType.LeaveRoom, roomId, recipients, body: JSON.stringify({ roomId }) })
  }

  async #appendRoomChange(
    transaction: LogTransaction,
    roomId: string,
    userId: string,
    type: 'UserJoined' | 'UserLeft',
  ): Promise<void> {
    const member = await findMember(transaction, roomId, userId)
    if (!member) throw new Error('the member is not in the room')
    const { roomSeq, latestMessage } = await findHead(transaction, roomId)
    const body = { type, related_user: member satisfies RoomMember }
    const preview: Preview = {
      type: 'RoomChange',
      sender_username: member.displayName,
      room_change_type: type === 'UserJoined' ? 'JOIN' : 'LEAVE',
    }
    await transaction.append({
      type: EventType.RoomChangeEvent,
      roomId,
      body: JSON.stringify(body),
      message: {
        roomSeq: roomSeq + 1,
        messageId: randomUUID(),
        senderId: userId,
        messageType: MessageType.RoomChange,
        createdAt: new Date(Math.max(transaction.time.getTime(), (latestMessage?.getTime() ?? 0) + 1)),
        preview: JSON.stringify(preview),
      },
    })
  }
}
