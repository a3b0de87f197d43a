/** SQL over the messages that the log holds. */
import type { Queryable } from '../infra/postgres.ts'
import { MESSAGE_COLUMNS, type MessageRow } from '../log/event-json.ts'
import { ARCHIVE } from './archiver.ts'
import type { PageRequest } from './message-store.ts'

export type TimelineAccess = { isMember: boolean; archivedSeq: number }

/** `undefined` where there is no such room. `archivedSeq`: the message store has everything up to it. */
export async function findTimelineAccess(
  db: Queryable,
  roomId: string,
  userId: string,
): Promise<TimelineAccess | undefined> {
  const [access] = await db.query<TimelineAccess>(
    'messages.access',
    `select exists (
        select from chat_room_participant p
        where p.room_id = r.id and p.user_id = $2 and p.participant_state = 'Joined') as "isMember",
      coalesce((select seq from projection where name = '${ARCHIVE}'), 0) as "archivedSeq"
    from chat_room r where r.id = $1`,
    [roomId, userId],
  )
  return access
}

/** A page of the messages after `archivedSeq`, newest first. */
export function pageOfLog(
  db: Queryable,
  { roomId, before, limit }: PageRequest,
  archivedSeq: number,
): Promise<MessageRow[]> {
  return db.query<MessageRow>(
    'messages.page-of-log',
    `select ${MESSAGE_COLUMNS} from event m
    where m.room_id = $1 and m.room_seq is not null and m.seq > $4 and m.created_at < $2
    order by m.seq desc limit $3`,
    [roomId, before, limit, archivedSeq],
  )
}

/** Whether every message that the room ever had is in the log: nothing of it was trimmed, or is older than the log. */
export async function logHasAllOf(db: Queryable, roomId: string): Promise<boolean> {
  const [room] = await db.query<{ hasAll: boolean }>(
    'messages.log-has-all',
    `select not r.began_before_log and 1 = coalesce(
        (select m.room_seq from event m where m.room_id = r.id and m.room_seq is not null order by m.seq limit 1),
        r.room_seq + 1) as "hasAll"
    from chat_room r where r.id = $1`,
    [roomId],
  )
  return room?.hasAll === true
}

export async function findInLog(
  db: Queryable,
  roomId: string,
  createdAt: Date,
  messageId: string,
  archivedSeq: number,
): Promise<MessageRow | undefined> {
  const [message] = await db.query<MessageRow>(
    'messages.find-in-log',
    `select ${MESSAGE_COLUMNS} from event m
    where m.room_id = $1 and m.room_seq is not null and m.seq > $4 and m.created_at = $2 and m.message_id = $3`,
    [roomId, createdAt, messageId, archivedSeq],
  )
  return message
}
