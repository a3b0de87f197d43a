/** SQL over dead_delivery: what was given up, by target. */
import type { Queryable } from '../infra/postgres.ts'

export type NewDeadDelivery = {
  /** 'push:kafka', 'push:http', 'webhook:<key>' */
  target: string
  /** Of the event that it is about. */
  seq: number
  payload: string
  /** One line, without secrets. */
  reason: string
  attempts: number
}

export type DeadDelivery = NewDeadDelivery & { id: number; diedAt: Date }

export async function insertDeadDeliveries(db: Queryable, dead: NewDeadDelivery[]): Promise<void> {
  if (dead.length === 0) return
  await db.query(
    'dead-deliveries.insert',
    `insert into dead_delivery (target, seq, payload, reason, attempts)
    select d.target, d.seq, d.payload, d.reason, d.attempts
    from unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::int[]) with ordinality
      as d(target, seq, payload, reason, attempts, n) order by d.n`,
    [
      dead.map(({ target }) => target),
      dead.map(({ seq }) => seq),
      dead.map(({ payload }) => payload),
      dead.map(({ reason }) => reason),
      dead.map(({ attempts }) => attempts),
    ],
  )
}

/** How many each target has; one without any is not among them. */
export function countDeadDeliveries(db: Queryable): Promise<{ target: string; count: number }[]> {
  return db.query(
    'dead-deliveries.count',
    'select target, count(*) as count from dead_delivery group by target order by target',
  )
}

/** The target's oldest with an id after `after`. */
export function listDeadDeliveries(
  db: Queryable,
  target: string,
  after: number,
  limit: number,
): Promise<DeadDelivery[]> {
  return db.query(
    'dead-deliveries.list',
    `select id, target, seq, payload, reason, attempts, died_at as "diedAt" from dead_delivery
    where target = $1 and id > $2 order by id limit $3`,
    [target, after, limit],
  )
}

export async function deleteDeadDeliveries(db: Queryable, ids: number[]): Promise<void> {
  await db.query('dead-deliveries.delete', 'delete from dead_delivery where id = any($1::bigint[])', [ids])
}

export async function discardDeadDeliveries(db: Queryable, target: string): Promise<void> {
  await db.query('dead-deliveries.discard', 'delete from dead_delivery where target = $1', [target])
}
