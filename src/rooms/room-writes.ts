/** SQL that writes rooms and members; each runs in a transaction that holds the log's lock. */
import type { Queryable } from '../infra/postgres.ts'
import { EventType } from '../log/event.ts'
import type { LogTransaction } from '../log/transaction.ts'
import type { RoomType } from './room.ts'

export type RoomInsert = { id: string; roomType: RoomType; roomName: string | null; preview: string; members: string[] }

export async function insertRoom(transaction: LogTransaction, room: RoomInsert): Promise<void> {
  await transaction.query(
    'rooms.insert',
    `with room as (
      insert into chat_room (id, created_at, latest_message, latest_message_preview_text, room_name, room_type)
      values ($1, $2, $2, $3, $4, $5) returning id)
    insert into chat_room_participant (room_id, user_id, joined_at, participant_state, last_read_room_seq)
    select room.id, m.id, $2, 'Joined', 0 from room cross join unnest($6::uuid[]) as m(id)`,
    [room.id, transaction.time, room.preview, room.roomName, room.roomType, room.members],
  )
}

/** From `seq`, the NewRoom event's, on these people see the room's events. */
export async function openMemberships(
  transaction: LogTransaction,
  roomId: string,
  userIds: string[],
  seq: number,
): Promise<void> {
  await transaction.query(
    'rooms.open-memberships',
    `insert into room_membership (user_id, room_id, from_seq) select m.id, $1, $3 from unnest($2::uuid[]) as m(id)`,
    [roomId, userIds, seq],
  )
}

/** Makes `userId` a member, for the first time or again, with everything up to `readRoomSeq` read. */
export async function joinRoom(
  transaction: LogTransaction,
  roomId: string,
  userId: string,
  readRoomSeq: number,
): Promise<void> {
  await transaction.query(
    'rooms.join',
    `insert into chat_room_participant (room_id, user_id, joined_at, participant_state, last_read_room_seq)
    values ($1, $2, $3, 'Joined', $4)
    on conflict (room_id, user_id) do update
      set joined_at = excluded.joined_at, participant_state = 'Joined', last_read_room_seq = excluded.last_read_room_seq`,
    [roomId, userId, transaction.time, readRoomSeq],
  )
}

/** The member stays in the list as Left and sees no event after `seq`, the LeaveRoom's. */
export async function leaveRoom(
  transaction: LogTransaction,
  roomId: string,
  userId: string,
  seq: number,
): Promise<void> {
  await transaction.query(
    'rooms.leave',
    `with left_room as (
      update chat_room_participant set participant_state = 'Left', muted_until = null
      where room_id = $1 and user_id = $2)
    update room_membership set to_seq = $3 where room_id = $1 and user_id = $2 and to_seq is null`,
    [roomId, userId, seq],
  )
}

/**
 * The room, its members and its NewRoom events are gone at once; its messages are erased by the archiver, which the
 * RoomDeleted event tells.
 * @returns the stored name of its image
 */
export async function deleteRoom(transaction: LogTransaction, roomId: string): Promise<string | null> {
  const [room] = await transaction.query<{ image: string | null }>(
    'rooms.delete',
    `with memberships as (delete from room_membership where room_id = $1),
      members as (delete from chat_room_participant where room_id = $1),
      announcements as (delete from event where room_id = $1 and room_seq is null and type = ${EventType.NewRoom})
    delete from chat_room where id = $1 returning room_image_url as image`,
    [roomId],
  )
  return room?.image ?? null
}

/** From now on no room refers to the object `key`; the sweeper takes it away. */
export async function addGarbage(db: Queryable, key: string): Promise<void> {
  await db.query('images.add-garbage', 'insert into object_garbage (key) values ($1) on conflict do nothing', [key])
}

/**
 * `until`: null for until undone. One statement on one row, which waits for nobody: it needs no turn at the log's lock,
 * and finds no row where the member has left meanwhile.
 * @returns false where `userId` is not in the room, or `until` is over
 */
export async function mute(db: Queryable, roomId: string, userId: string, until: Date | null): Promise<boolean> {
  const rows = await db.query(
    'rooms.mute',
    `update chat_room_participant set muted_until = coalesce($3::timestamptz, 'infinity')
    where room_id = $1 and user_id = $2 and participant_state = 'Joined'
      and ($3::timestamptz is null or $3 > clock_timestamp()) returning 1`,
    [roomId, userId, until],
  )
  return rows.length > 0
}

export async function unmute(db: Queryable, roomId: string, userId: string): Promise<void> {
  await db.query(
    'rooms.unmute',
    'update chat_room_participant set muted_until = null where room_id = $1 and user_id = $2 and muted_until is not null',
    [roomId, userId],
  )
}

export async function saveRead(
  transaction: LogTransaction,
  roomId: string,
  userId: string,
  roomSeq: number,
): Promise<void> {
  await transaction.query(
    'rooms.save-read',
    `update chat_room_participant set last_read_room_seq = $3, last_message_read_at = $4
    where room_id = $1 and user_id = $2`,
    [roomId, userId, roomSeq, transaction.time],
  )
}
