/** A projection's place in the log: how far it is, and which node works at it, by a lease with a fencing epoch. */
import type { Queryable } from '../infra/postgres.ts'

export type Lease = {
  /** Everything up to and including this is done. */
  seq: number
  /** Counts holders: only the newest one's position is taken. */
  epoch: number
}

export const LEASE_SECONDS = 5

/** A lease without a position: whoever has it does the housekeeping. */
export const MAINTENANCE = 'maintenance'

/** Makes the projection known; a new one begins at `seq`. */
export async function registerProjection(db: Queryable, name: string, seq: number): Promise<void> {
  await db.query('projections.register', 'insert into projection (name, seq) values ($1, $2) on conflict do nothing', [
    name,
    seq,
  ])
}

/** Takes the lease where it is free, or prolongs it where `holder` has it; nobody gets that of a broken projection. */
export async function takeLease(db: Queryable, name: string, holder: string): Promise<Lease | undefined> {
  const [lease] = await db.query<Lease>(
    'projections.lease',
    `update projection set holder = $2, lease_until = clock_timestamp() + make_interval(secs => ${LEASE_SECONDS}),
      epoch = case when holder = $2 and lease_until > clock_timestamp() then epoch else epoch + 1 end
    where name = $1 and broken_at is null and (holder = $2 or holder is null or lease_until < clock_timestamp())
    returning seq, epoch`,
    [name, holder],
  )
  return lease
}

/** Moves the position on and prolongs the lease. @returns false where another holder has taken over, or it is broken */
export async function advance(db: Queryable, name: string, lease: Lease, seq: number): Promise<boolean> {
  const rows = await db.query(
    'projections.advance',
    `update projection set seq = $3, lease_until = clock_timestamp() + make_interval(secs => ${LEASE_SECONDS})
    where name = $1 and epoch = $2 and seq <= $3 and broken_at is null returning 1`,
    [name, lease.epoch, seq],
  )
  return rows.length > 0
}

/**
 * Marks every projection but `kept` that has not had everything up to `seq`, which goes from the log: what it would skip
 * must not be skipped in silence.
 */
export async function breakProjections(db: Queryable, kept: string[], seq: number): Promise<void> {
  await db.query(
    'projections.break',
    `update projection set broken_at = clock_timestamp()
    where seq < $2 and broken_at is null and name <> all ($1::text[])`,
    [[...kept, MAINTENANCE], seq],
  )
}

/** Those of `names` that are broken. */
export async function listBroken(db: Queryable, names: string[]): Promise<string[]> {
  const rows = await db.query<{ name: string }>(
    'projections.broken',
    'select name from projection where broken_at is not null and name = any ($1::text[]) order by name',
    [names],
  )
  return rows.map(({ name }) => name)
}

/** A broken projection goes on after `seq`. @returns false where it is not broken, or not there */
export async function resumeProjection(db: Queryable, name: string, seq: number): Promise<boolean> {
  const rows = await db.query(
    'projections.resume',
    `update projection set seq = $2, broken_at = null, epoch = epoch + 1, holder = null, lease_until = '-infinity'
    where name = $1 and broken_at is not null returning 1`,
    [name, seq],
  )
  return rows.length > 0
}

/** Gives the lease up, so that another node need not wait for its end. */
export async function releaseLease(db: Queryable, name: string, holder: string): Promise<void> {
  await db.query(
    'projections.release',
    `update projection set holder = null, lease_until = '-infinity' where name = $1 and holder = $2`,
    [name, holder],
  )
}

/** Drops the position of a projection that there is no longer, unless a node has its lease. */
export async function forgetProjection(db: Queryable, name: string): Promise<'forgotten' | 'held' | 'unknown'> {
  const [row] = await db.query<{ forgotten: boolean }>(
    'projections.forget',
    `with forgotten as (delete from projection where name = $1 and lease_until < clock_timestamp() returning 1)
    select exists (select from forgotten) as forgotten from projection where name = $1`,
    [name],
  )
  if (!row) return 'unknown'
  return row.forgotten ? 'forgotten' : 'held'
}

export type ProjectionStatus = {
  name: string
  seq: number
  headSeq: number
  /** For how long the next event has waited for it; 0 where it is at the head. */
  lagSeconds: number
  /** The node that works at it; null where none does. */
  holder: string | null
  /** Since when events that it had not had are gone; null: it has had all of them. */
  brokenAt: Date | null
}

/** Every projection's position beside the log's head. */
export function listProjections(db: Queryable): Promise<ProjectionStatus[]> {
  return db.query<ProjectionStatus>(
    'projections.list',
    `select p.name, p.seq,
      greatest((select trimmed_seq from event_log), (select e.seq from event e order by e.seq desc limit 1)) as "headSeq",
      coalesce((select greatest(0, extract(epoch from clock_timestamp() - e.logged_at)) from event e where e.seq > p.seq
        order by e.seq limit 1), 0)::float8 as "lagSeconds",
      case when p.lease_until > clock_timestamp() then p.holder end as holder, p.broken_at as "brokenAt"
    from projection p where p.name <> $1 order by p.name`,
    [MAINTENANCE],
  )
}
