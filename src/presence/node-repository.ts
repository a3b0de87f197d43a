/** SQL over node: which nodes run, by lease, how far their tails are, and what becomes of those that do not. */
import type { Queryable } from '../infra/postgres.ts'

/** A node that is gone shows after this; above three beats, so that a slow one does not end it. */
const LEASE_SECONDS = 8
/** Rows that one statement moves. */
const REAP_ROWS = 5_000

export type NodeIdentity = { id: string; name: string; holder: string }

/** How far a tail was behind the log's head, in `seq` and in time. */
export type TailLag = { events: number; seconds: number }

/** `taken`: false where the node's lease has ended, or PostgreSQL has forgotten it; then nothing was taken down. */
export type Beat = { taken: boolean; tail: TailLag }

export async function insertNode(db: Queryable, { id, name, holder }: NodeIdentity): Promise<void> {
  await db.query(
    'nodes.insert',
    `insert into node (id, name, holder, lease_until)
    values ($1, $2, $3, clock_timestamp() + make_interval(secs => ${LEASE_SECONDS}))`,
    [id, name, holder],
  )
}

/**
 * Prolongs the node's lease and takes down who came and who went since the last time. What waits for the node's row
 * sees it as its last holder left it, so that nothing comes in once it has ended.
 */
export async function beat(db: Queryable, id: string, tailSeq: number, came: string[], went: string[]): Promise<Beat> {
  const [row] = await db.query<TailLag & { taken: boolean }>(
    'nodes.beat',
    `with tail as materialized (
      select greatest(0, (select e.seq from event e order by e.seq desc limit 1) - $2::bigint) as lag,
        coalesce((select greatest(0, extract(epoch from clock_timestamp() - e.logged_at)) from event e
          where e.seq > $2 order by e.seq limit 1), 0)::float8 as seconds),
    here as (
      update node n set lease_until = clock_timestamp() + make_interval(secs => ${LEASE_SECONDS}),
        tail_seq = $2, tail_lag = tail.lag, tail_lag_seconds = tail.seconds
      from tail where n.id = $1 and not n.ended returning n.id),
    came as (
      insert into presence (user_id, node_id)
      select u.id, here.id from here cross join unnest($3::uuid[]) as u(id) on conflict do nothing),
    went as (
      delete from presence p using here where p.node_id = here.id and p.user_id = any($4::uuid[])),
    seen as (
      insert into last_seen (user_id, seen_at)
      select u.id, clock_timestamp() from here cross join app_user u where u.id = any($4::uuid[]) order by u.id
      on conflict (user_id) do update set seen_at = greatest(last_seen.seen_at, excluded.seen_at))
    select exists (select from here) as taken, lag as events, seconds from tail`,
    [id, tailSeq, came, went],
  )
  if (!row) throw new Error('a beat returned no row')
  const { taken, ...tail } = row
  return { taken, tail }
}

/** At once, however many people are connected to it: they were seen until now. */
export async function endNode(db: Queryable, id: string): Promise<void> {
  await db.query('nodes.end', 'update node set ended = true, lease_until = clock_timestamp() where id = $1', [id])
}

/** Turns what nodes that are gone left behind into times at which people were last seen. */
export async function reapNodes(db: Queryable): Promise<void> {
  await db.query('nodes.expire', 'update node set ended = true where lease_until < clock_timestamp() and not ended')
  for (let moved = REAP_ROWS; moved === REAP_ROWS; ) moved = await movePresence(db)
  await db.query(
    'nodes.delete',
    'delete from node n where n.ended and not exists (select from presence p where p.node_id = n.id)',
  )
}

/** @returns how many rows of presence it took */
async function movePresence(db: Queryable): Promise<number> {
  const [row] = await db.query<{ count: number }>(
    'nodes.move-presence',
    `with left_over as materialized (
      select p.user_id, p.node_id, n.lease_until from node n join presence p on p.node_id = n.id
      where n.ended order by p.user_id limit ${REAP_ROWS}),
    gone as (
      delete from presence p using left_over l where p.user_id = l.user_id and p.node_id = l.node_id),
    seen as (
      insert into last_seen (user_id, seen_at)
      select u.id, max(l.lease_until) from left_over l join app_user u on u.id = l.user_id group by u.id order by u.id
      on conflict (user_id) do update set seen_at = greatest(last_seen.seen_at, excluded.seen_at))
    select count(*) as count from left_over`,
  )
  return row?.count ?? 0
}

export type NodeStatus = {
  name: string
  /** What projections call it. */
  holder: string
  /** How many people have a stream there. */
  people: number
  tailSeq: number
  lag: number
  lagSeconds: number
}

/** The nodes that run, each as of its last beat. */
export function listNodes(db: Queryable): Promise<NodeStatus[]> {
  return db.query<NodeStatus>(
    'nodes.list',
    `select n.name, n.holder, (select count(*) from presence p where p.node_id = n.id) as people,
      n.tail_seq as "tailSeq", n.tail_lag as lag, n.tail_lag_seconds as "lagSeconds"
    from node n where n.lease_until > clock_timestamp() order by n.name, n.id`,
  )
}
