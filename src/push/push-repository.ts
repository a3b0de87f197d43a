/** SQL that decides who gets a push: members and when they were in, who muted the room, whose lease is live, who is deleted. */
import type { Queryable } from '../infra/postgres.ts'
import { EVENT_COLUMNS, type LogEvent } from '../log/event.ts'

export type MembershipRow = { roomId: string; userId: string; from: number; to: number | null }

/** The intervals of these rooms that reach beyond `since`. */
export function listMemberships(db: Queryable, rooms: string[], since: number): Promise<MembershipRow[]> {
  return db.query(
    'push.memberships',
    `select room_id as "roomId", user_id as "userId", from_seq as "from", to_seq as "to" from room_membership
    where room_id = any ($1::uuid[]) and (to_seq is null or to_seq > $2)`,
    [rooms, since],
  )
}

/** `until`: milliseconds since 1970 by PostgreSQL's clock, or Infinity. */
export type MuteRow = { roomId: string; userId: string; until: number }

/** Who wanted no pushes of these rooms at `since` or later. */
export function listMuted(db: Queryable, rooms: string[], since: Date): Promise<MuteRow[]> {
  return db.query(
    'push.muted',
    `select room_id as "roomId", user_id as "userId", (extract(epoch from muted_until) * 1000)::float8 as until
    from chat_room_participant where room_id = any ($1::uuid[]) and muted_until > $2`,
    [rooms, since],
  )
}

export type Leases = {
  /** The asking node's own id, which is another one after each time that PostgreSQL forgot it; null: it is forgotten now. */
  nodeId: string | null
  /** Milliseconds by PostgreSQL's clock, from before anything was looked at. */
  now: number
  /** Those of the asked for who have a stream on a node whose lease is live. */
  covered: string[]
  /** Those of the asked for whom the database no longer has, or has as deleted. */
  gone: string[]
  /** The latest end of those leases. */
  until: number
}

export async function findLeases(db: Queryable, users: string[], holder: string): Promise<Leases> {
  const [leases] = await db.query<Leases>(
    'push.leases',
    `with covered as materialized (
      select p.user_id, max(n.lease_until) as lease_until from presence p join node n on n.id = p.node_id
      where p.user_id = any ($1::uuid[]) and n.lease_until > clock_timestamp() group by p.user_id)
    select (select n.id from node n where n.holder = $2 and n.lease_until > clock_timestamp() and not n.ended limit 1) as "nodeId",
      (extract(epoch from statement_timestamp()) * 1000)::float8 as now,
      coalesce(array_agg(c.user_id) filter (where c.user_id is not null), '{}') as covered,
      coalesce(extract(epoch from max(c.lease_until)) * 1000, 0)::float8 as until,
      array(select a.id from unnest($1::uuid[]) as a(id)
        where not exists (select from app_user u where u.id = a.id and u.deleted_at is null)) as gone
    from covered c`,
    [users, holder],
  )
  if (!leases) throw new Error('the leases came without a row')
  return leases
}

/** What an event consists of, but for whom it is for: its recipients may be thousands. */
const COLUMNS = EVENT_COLUMNS.replace('e.recipients', 'null::uuid[] as recipients')

export function readEventsAt(db: Queryable, seqs: number[]): Promise<LogEvent[]> {
  return db.query('push.events', `select ${COLUMNS} from event e where e.seq = any ($1::bigint[]) order by e.seq`, [
    seqs,
  ])
}
