/** SQL over presence: who is connected to a node that runs. */
import type { Queryable } from '../infra/postgres.ts'

/** Those of `userIds` who have a stream on any node, known to be there at most some seconds ago. */
export async function onlineOf(db: Queryable, userIds: string[]): Promise<Set<string>> {
  const rows = await db.query<{ id: string }>(
    'presence.online-of',
    `select distinct p.user_id as id from presence p join node n on n.id = p.node_id
    where p.user_id = any($1::uuid[]) and n.lease_until > clock_timestamp()`,
    [userIds],
  )
  return new Set(rows.map(({ id }) => id))
}

export type SeenBy = {
  online: boolean
  /** When their last stream ended that has ended; null where none is known of. */
  lastSeenAt: Date | null
  pairState: string | null
  viewerIsA: boolean
  /** They and the viewer are in a room now. */
  shareRoom: boolean
}

/** A user's presence, and what decides whether the viewer may know of it. */
export async function findPresence(db: Queryable, id: string, viewerId: string): Promise<SeenBy | undefined> {
  const [seen] = await db.query<SeenBy>(
    'presence.find',
    `select coalesce(p.online, false) as online, greatest(p.left_at, s.seen_at) as "lastSeenAt",
      r.state as "pairState", $2::uuid < u.id as "viewerIsA",
      exists (
        select from chat_room_participant theirs
        join chat_room_participant mine on mine.room_id = theirs.room_id and mine.user_id = $2::uuid
        where theirs.user_id = u.id and theirs.participant_state = 'Joined' and mine.participant_state = 'Joined'
      ) as "shareRoom"
    from app_user u
    left join user_relationship r on r.user_a_id = least(u.id, $2::uuid) and r.user_b_id = greatest(u.id, $2::uuid)
    left join last_seen s on s.user_id = u.id
    cross join lateral (
      select bool_or(n.lease_until > clock_timestamp()) as online,
        max(n.lease_until) filter (where n.lease_until <= clock_timestamp()) as left_at
      from presence p join node n on n.id = p.node_id where p.user_id = u.id) p
    where u.id = $1 and u.deleted_at is null`,
    [id, viewerId],
  )
  return seen
}
