/** SQL that reads rooms, members and how far they have read. */
import type { Queryable } from '../infra/postgres.ts'
import type { Pair } from '../relationships/relationship-repository.ts'
import type { RoomMember, RoomRow, RoomType } from './room.ts'

/** For `wireTime`. UTC by its offset: its name would be looked up for each time. */
const utc = (time: string) => `${time} at time zone interval '0'`

/**
 * A room as a member sees it. Its head (h) is its newest message in the log (e) or, where that has none, what its row
 * says; how far they have read (m) is what their own row says or their newest message in the log, as in room_head() and
 * member_read(). Where the head is that message, or is read already, no other one (s) is looked for: by its "offset 0"
 * PostgreSQL asks that once, and not in each of the log's partitions.
 * Rooms of ISM 0.7.9 count nothing: until the first read or send there, old times decide what is unread.
 * Its columns are those of RoomRow, in their order.
 */
const ROOM_OF_MEMBER = `select r.id, r.room_type as "roomType",
    case r.room_type when 'Single' then o.display_name else r.room_name end as "roomName",
    case r.room_type when 'Single' then o.profile_picture else r.room_image_url end as image,
    ${utc('r.created_at')} as "createdAt",
    ${utc('coalesce(h.latest_message, r.created_at)')} as "latestMessage",
    e.preview as "logPreview", case when e.preview is null then r.latest_message_preview_text end as "storedPreview",
    greatest(0, h.room_seq - coalesce(m.room_seq, 0)) as "unreadCount",
    m.read_at is null or h.room_seq > coalesce(m.room_seq, 0)
      or (m.room_seq is null and coalesce(h.latest_message > m.read_at, false)) as unread,
    case when p.muted_until > clock_timestamp() then ${utc('p.muted_until')} end as "mutedUntil"
  from chat_room_participant p
  join chat_room r on r.id = p.room_id
  left join lateral (
    select e.room_seq, e.created_at, e.preview, e.type = 1 and e.sender_id = p.user_id as is_own from event e
    where e.room_id = r.id and e.room_seq is not null order by e.seq desc limit 1) e on true
  left join lateral (
    select s.* from (
      select s.room_seq, s.created_at from event s
      where s.room_id = r.id and s.sender_id = p.user_id and s.type = 1 order by s.seq desc limit 1) s
    where not e.is_own and (e.room_seq > coalesce(p.last_read_room_seq, 0) or p.last_message_read_at is null)
    offset 0) s on true
  cross join lateral (select coalesce(e.room_seq, r.room_seq) as room_seq,
    coalesce(e.created_at, r.latest_message) as latest_message) h
  cross join lateral (select
    greatest(p.last_read_room_seq, case when e.is_own then e.room_seq else s.room_seq end) as room_seq,
    greatest(p.last_message_read_at, case when e.is_own then e.created_at else s.created_at end) as read_at) m
  left join lateral (
    select u.display_name, u.profile_picture from chat_room_participant q join app_user u on u.id = q.user_id
    where r.room_type = 'Single' and q.room_id = r.id and q.user_id <> p.user_id limit 1) o on true
  where p.user_id = $1 and p.participant_state = 'Joined'`

export function listRooms(db: Queryable, userId: string): Promise<RoomRow[]> {
  return db.query<RoomRow>(
    'rooms.list',
    `${ROOM_OF_MEMBER} order by coalesce(h.latest_message, r.created_at) desc, r.id`,
    [userId],
    'array',
  )
}

/** `undefined` also where `userId` is not in it. */
export async function findRoom(db: Queryable, userId: string, roomId: string): Promise<RoomRow | undefined> {
  const [room] = await db.query<RoomRow>('rooms.find', `${ROOM_OF_MEMBER} and r.id = $2`, [userId, roomId], 'array')
  return room
}

/** Everybody who is or was in the room, by joinedAt, then id. */
export function listMembers(db: Queryable, roomId: string): Promise<RoomMember[]> {
  return db.query<RoomMember>('rooms.members', `${MEMBER} where p.room_id = $1 order by p.joined_at, u.id`, [roomId])
}

export async function findMember(db: Queryable, roomId: string, userId: string): Promise<RoomMember | undefined> {
  const [member] = await db.query<RoomMember>('rooms.member', `${MEMBER} where p.room_id = $1 and p.user_id = $2`, [
    roomId,
    userId,
  ])
  return member
}

const MEMBER = `select u.id, u.display_name as "displayName", u.profile_picture as "profilePicture",
    p.joined_at as "joinedAt", m.read_at as "lastMessageReadAt", p.participant_state as "membershipStatus"
  from chat_room_participant p
  join app_user u on u.id = p.user_id
  cross join lateral member_read(p.room_id, p.user_id) m`

/** The members who have read everything, by joinedAt, then id. */
export function listReaders(db: Queryable, roomId: string): Promise<RoomMember[]> {
  return db.query<RoomMember>(
    'rooms.readers',
    `${MEMBER} cross join room_head($1) h
    where p.room_id = $1 and p.participant_state = 'Joined' and m.read_at is not null
      and case when m.room_seq is null and h.room_seq = 0 then coalesce(m.read_at >= h.latest_message, true)
        else coalesce(m.room_seq, 0) >= h.room_seq end
    order by p.joined_at, u.id`,
    [roomId],
  )
}

export type RoomAccess = { roomType: RoomType; image: string | null; isMember: boolean }

/** Whether there is such a room, and whether `userId` is in it. */
export async function findAccess(db: Queryable, roomId: string, userId: string): Promise<RoomAccess | undefined> {
  const [access] = await db.query<RoomAccess>(
    'rooms.access',
    `select r.room_type as "roomType", r.room_image_url as image, exists (
      select from chat_room_participant p
      where p.room_id = r.id and p.user_id = $2 and p.participant_state = 'Joined') as "isMember"
    from chat_room r where r.id = $1`,
    [roomId, userId],
  )
  return access
}

/** The private rooms of two people, the oldest first: one, but ISM 0.7.9 may have left two. */
export async function findPrivateRooms(db: Queryable, { a, b }: Pair): Promise<string[]> {
  const rows = await db.query<{ id: string }>(
    'rooms.private',
    `select r.id from chat_room_participant p
    join chat_room_participant q on q.room_id = p.room_id and q.user_id = $2 and q.user_id <> p.user_id
    join chat_room r on r.id = p.room_id and r.room_type = 'Single'
    where p.user_id = $1 order by r.created_at, r.id`,
    [a, b],
  )
  return rows.map(({ id }) => id)
}

export async function listJoined(db: Queryable, roomId: string): Promise<string[]> {
  const rows = await db.query<{ id: string }>(
    'rooms.joined',
    `select user_id as id from chat_room_participant where room_id = $1 and participant_state = 'Joined'`,
    [roomId],
  )
  return rows.map(({ id }) => id)
}

export type RoomHead = { roomSeq: number; latestMessage: Date | null }

export async function findHead(db: Queryable, roomId: string): Promise<RoomHead> {
  const [head] = await db.query<RoomHead>(
    'rooms.head',
    'select room_seq as "roomSeq", latest_message as "latestMessage" from room_head($1)',
    [roomId],
  )
  return head ?? { roomSeq: 0, latestMessage: null }
}

export type ReadState = {
  isMember: boolean
  headRoomSeq: number
  /** null: never counted, as in a room from before. */
  readRoomSeq: number | null
  readAt: Date | null
  latestMessage: Date | null
}

/** `undefined` where there is no such room. */
export async function findReadState(db: Queryable, roomId: string, userId: string): Promise<ReadState | undefined> {
  const [state] = await db.query<ReadState>(
    'rooms.read-state',
    `select p.user_id is not null as "isMember", h.room_seq as "headRoomSeq", h.latest_message as "latestMessage",
      m.room_seq as "readRoomSeq", m.read_at as "readAt"
    from chat_room r
    cross join lateral room_head(r.id) h
    left join chat_room_participant p on p.room_id = r.id and p.user_id = $2 and p.participant_state = 'Joined'
    left join lateral member_read(r.id, $2) m on true
    where r.id = $1`,
    [roomId, userId],
  )
  return state
}
