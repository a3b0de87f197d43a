/** What is read from the log by position: its head, its pages, a person's events, a time's place. */
import type { Queryable } from '../infra/postgres.ts'
import { EVENT_COLUMNS, type LogEvent } from './event.ts'

export type LogState = {
  epoch: string
  /** Events up to and including this are gone. */
  trimmedSeq: number
  /** When the newest of those was logged; the beginning of time where nothing was trimmed. */
  trimmedAt: Date
  /** The newest event's seq; `trimmedSeq` where there is none. */
  headSeq: number
}

export async function readLogState(db: Queryable): Promise<LogState> {
  const [row] = await db.query<LogState>(
    'log.state',
    `select l.epoch, l.trimmed_seq as "trimmedSeq", greatest(l.trimmed_at, 'epoch') as "trimmedAt",
      greatest(l.trimmed_seq, (select e.seq from event e order by e.seq desc limit 1)) as "headSeq"
    from event_log l`,
  )
  if (!row) throw new Error('event_log has no row')
  return row
}

/**
 * A new epoch where this is another database, or another timeline of it, than the one that the epoch was made in: a
 * restored backup, a clone or a promoted standby may lack what cursors of the other count on.
 */
export async function adoptDatabase(db: Queryable): Promise<void> {
  await db.query(
    'log.adopt-database',
    `with here as (
      select concat_ws(':', (select system_identifier from pg_control_system()),
        (select timeline_id from pg_control_checkpoint()),
        (select oid from pg_database where datname = current_database())) as identity)
    update event_log l set database_identity = here.identity,
      epoch = case when l.database_identity is null then l.epoch
        else encode(uuid_send(gen_random_uuid()), 'hex') end
    from here where l.database_identity is distinct from here.identity`,
  )
}

export type LogPage = {
  events: LogEvent[]
  /** There may be more to read at once. */
  more: boolean
}

/** What a page of the log may take in memory, but for its last event. */
export const PAGE_BYTES = 8 * 1024 * 1024
/** A recipient's id is 16 bytes as it is stored, and 64 in memory. */
const RECIPIENT_BYTES = 64
const TIMES_STORED = 4

/** Events after `after`, in order; a page ends early where they are large or for many. */
export async function readEvents(db: Queryable, after: number, limit: number): Promise<LogPage> {
  // Sizes are known without reading what has them.
  const events = await db.query<LogEvent>(
    'log.read',
    `select ${EVENT_COLUMNS} from (
      select e.*, sum(octet_length(e.body) + ${TIMES_STORED} * coalesce(pg_column_size(e.recipients), 0))
        over (order by e.seq rows between unbounded preceding and 1 preceding) as bytes_before
      from event e where e.seq > $1 order by e.seq limit $2) e
    where coalesce(e.bytes_before, 0) < ${PAGE_BYTES} order by e.seq`,
    [after, limit],
  )
  const recipients = events.reduce((sum, event) => sum + (event.recipients?.length ?? 0), 0)
  // What is stored is a little more than the ids themselves: half as much is surely no page that ended early.
  const more = events.length === limit || bodyBytesOf(events) + recipients * RECIPIENT_BYTES > PAGE_BYTES / 2
  return { events, more }
}

/** Of the many that an event may be for, a person's own history names them alone. */
const COLUMNS_FOR_ONE = EVENT_COLUMNS.replace(
  'e.recipients',
  'case when e.recipients is not null then array[$1::uuid] end as recipients',
)

/**
 * Each room is asked for a page of events. Where they are many, they are asked no further along the log than where a
 * page of messages was counted; what is counted grows until it is one.
 */
const MANY_ROOMS = 20
const SPAN_PAGES = 4
const SPAN_GROWTH = 8

/**
 * What a person's stream that never broke would have been given in (after, upTo], oldest first: the events of the
 * rooms that they were in, while they were in them, and those addressed to them. At most `limit`, and no more once
 * there are `bytes` of bodies.
 */
export async function readEventsOf(
  db: Queryable,
  userId: string,
  { after, upTo, limit, bytes }: { after: number; upTo: number; limit: number; bytes: number },
): Promise<LogPage> {
  const events = await db.query<LogEvent>(
    'log.read-of',
    `with recursive joined as materialized (
      select m.room_id, greatest(m.from_seq, $2) as low, least(m.to_seq, $3::bigint + 1) as high
      from room_membership m where m.user_id = $1 and (m.to_seq is null or m.to_seq > $2) and m.from_seq < $3),
    span as (
      select case when count(*) > ${MANY_ROOMS} then least($3, $2 + ${SPAN_PAGES} * $4::bigint) else $3 end as last,
        ${SPAN_PAGES} * $4::bigint as length
      from joined
      union all
      select least($3, $2 + ${SPAN_GROWTH} * s.length), ${SPAN_GROWTH} * s.length from span s
      where s.last < $3 and $4 > (select count(*) from (
        select from joined j cross join lateral (
          select from event e
          where e.room_id = j.room_id and e.room_seq is not null and e.seq > j.low and e.seq < least(j.high, s.last + 1)
          order by e.seq limit $4) e
        limit $4) found)),
    bound as materialized (select max(last) as last from span),
    visible as materialized (
      select j.room_id, j.low, least(j.high, b.last + 1) as high from joined j cross join bound b where j.low < b.last),
    page as (
      select e.* from visible v cross join lateral (
        select * from event e
        where e.room_id = v.room_id and e.room_seq is not null and e.seq > v.low and e.seq < v.high
        order by e.seq limit $4) e
      union all
      select e.* from visible v cross join lateral (
        select * from event e
        where e.room_id = v.room_id and e.room_seq is null and e.recipients is null and e.seq > v.low and e.seq < v.high
        order by e.seq limit $4) e
      union all
      select * from event e
      where e.recipients @> array[$1::uuid] and e.seq > $2 and e.seq <= (select last from bound)
      order by seq limit $4)
    select ${COLUMNS_FOR_ONE} from (
      select *, sum(octet_length(body)) over (order by seq rows between unbounded preceding and 1 preceding) as bytes_before
      from page) e
    where coalesce(e.bytes_before, 0) < $5 order by e.seq`,
    [userId, after, upTo, limit, bytes],
  )
  return { events, more: events.length === limit || bodyBytesOf(events) >= bytes }
}

function bodyBytesOf(events: LogEvent[]): number {
  return events.reduce((sum, { body }) => sum + Buffer.byteLength(body), 0)
}

/** The last seq logged before `time`; the log's clock never falls along seq, so halving finds it. */
export async function seqBefore(db: Queryable, time: Date): Promise<number> {
  const [row] = await db.query<{ seq: number }>(
    'log.seq-before',
    `with recursive bounds as (
      select l.trimmed_seq as low, greatest(l.trimmed_seq, (select e.seq from event e order by e.seq desc limit 1)) as high
      from event_log l),
    search as (
      select low, high from bounds
      union all
      select case when p.logged_at < $1 then p.seq else s.low end,
        case when p.logged_at < $1 then s.high else (s.low + s.high + 1) / 2 - 1 end
      from search s cross join lateral (
        select e.seq, e.logged_at from event e where e.seq >= (s.low + s.high + 1) / 2 order by e.seq limit 1) p
      where s.low < s.high)
    select low as seq from search order by high - low limit 1`,
    [time],
  )
  return row?.seq ?? 0
}
