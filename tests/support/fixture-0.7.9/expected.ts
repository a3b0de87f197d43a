/** What ISM has to answer to the fixture's people before anybody does something new, by the contract alone. */
import type { Community } from './community.ts'
import type { LegacyMessage } from './messages.ts'
import type { LegacyPerson } from './people.ts'
import type { LegacyMember, LegacyRoom } from './rooms.ts'
import { toWire } from './time.ts'

export class Expected {
  readonly #community: Community
  readonly #bucket: string

  constructor(community: Community, bucket: string) {
    this.#community = community
    this.#bucket = bucket
  }

  /** Those who may use ISM. */
  get people(): LegacyPerson[] {
    return this.#community.people.filter(({ deletedAt }) => deletedAt === null)
  }

  roomsOf({ id }: LegacyPerson): LegacyRoom[] {
    return this.#community.rooms
      .filter((room) => this.joined(room).some((member) => member.id === id))
      .sort((a, b) => timeOf(b) - timeOf(a) || (a.id < b.id ? -1 : 1))
  }

  /** The members who may use it. */
  joined({ members }: LegacyRoom): LegacyPerson[] {
    return this.people.filter(({ id }) => members.some(({ userId, state }) => userId === id && state === 'Joined'))
  }

  room(room: LegacyRoom, viewer: LegacyPerson) {
    const other = this.#person(room.members.find(({ userId }) => userId !== viewer.id)?.userId)
    const isSingle = room.type === 'Single'
    const readAt = room.members.find(({ userId }) => userId === viewer.id)?.readAt ?? null
    return {
      id: room.id,
      roomType: room.type,
      roomImageUrl: isSingle ? other?.profilePicture : room.hasPicture ? `${this.#bucket}/${room.id}` : null,
      roomName: isSingle ? other?.displayName : room.name,
      createdAt: toWire(room.createdAt),
      latestMessage: toWire(timeOf(room)),
      unread: readAt === null || (room.latestMessage !== null && readAt < room.latestMessage),
      unreadCount: 0,
      muted: false,
      mutedUntil: null,
      latestMessagePreviewText: JSON.parse(room.preview ?? '{"type":"New"}'),
    }
  }

  members(room: LegacyRoom) {
    return [...room.members]
      .sort((a, b) => a.joinedAt - b.joinedAt || (a.userId < b.userId ? -1 : 1))
      .map((member) => this.#member(member))
  }

  readers(room: LegacyRoom): string[] {
    return room.members
      .filter(({ state, readAt }) => state === 'Joined' && readAt !== null && readAt >= (room.latestMessage ?? 0))
      .map(({ userId }) => userId)
      .sort()
  }

  /** Newest first; those of one time in any order. */
  messages(room: LegacyRoom) {
    return [...room.messages].sort(newestFirst).map((message) => ({
      chatRoomId: room.id,
      messageId: message.id,
      senderId: message.senderId,
      msgBody: JSON.parse(message.body),
      msgType: message.type,
      createdAt: toWire(message.createdAt * 1_000),
      roomSeq: null,
      clientMessageId: null,
    }))
  }

  user(person: LegacyPerson) {
    const { id, displayName, streetCredits, profilePicture, description, friendsCount, role } = person
    return { id, displayName, streetCredits, profilePicture, description, friendsCount, role }
  }

  relationshipType(viewer: LegacyPerson, other: LegacyPerson): string | null {
    const rows = this.#community.relationships.filter(
      ({ userA, userB }) => [viewer.id, other.id].includes(userA) && [viewer.id, other.id].includes(userB),
    )
    const row = rows.sort((a, b) => b.changedAt - a.changedAt)[0]
    if (!row) return null
    const isMine = row.state.startsWith(row.userA === viewer.id ? 'A_' : 'B_')
    if (row.state === 'FRIEND') return 'FRIEND'
    if (row.state === 'ALL_BLOCKED') return 'CLIENT_BLOCKED'
    if (row.state.endsWith('INVITED')) return isMine ? 'INVITE_SENT' : 'INVITE_RECEIVED'
    return isMine ? 'CLIENT_BLOCKED' : 'CLIENT_GOT_BLOCKED'
  }

  /** Ids of those to whom the viewer's relationship is this one. */
  related(viewer: LegacyPerson, type: string): string[] {
    return this.people.filter((other) => this.relationshipType(viewer, other) === type).map(({ id }) => id)
  }

  #member({ userId, joinedAt, readAt, state }: LegacyMember) {
    const person = this.#person(userId)
    return {
      id: userId,
      displayName: person?.displayName,
      profilePicture: person?.profilePicture,
      joinedAt: toWire(joinedAt),
      lastMessageReadAt: readAt === null ? null : toWire(readAt),
      membershipStatus: state,
    }
  }

  #person(id: string | undefined): LegacyPerson | undefined {
    return this.#community.people.find((person) => person.id === id)
  }
}

const timeOf = (room: LegacyRoom) => room.latestMessage ?? room.createdAt

/** Ids decide between messages of one time only here, so that two lists can be compared. */
export function newestFirst(a: Pick<LegacyMessage, 'createdAt' | 'id'>, b: typeof a): number {
  return b.createdAt - a.createdAt || (a.id < b.id ? -1 : 1)
}
