/** SQL over dead_delivery: what was given up, by target. */
import type { Queryable } from '../infra/postgres.ts'
import { EventType } from '../log/event.ts'

export type NewDeadDelivery = {
  /** 'push:kafka', 'push:http', 'webhook:<name>' */
  target: string
  /** Of the event that it is about. */
  seq: number
  payload: string
  /** One line, without secrets. */
  reason: string
  attempts: number
}

export type DeadDelivery = NewDeadDelivery & { id: number; diedAt: Date }

/** Rows that one statement deletes. */
const DELETE_SLICE = 5_000

/** But for those whose event is gone from the log, or will be with its room, which is deleted. */
export async function insertDeadDeliveries(db: Queryable, dead: NewDeadDelivery[]): Promise<void> {
  if (dead.length === 0) return
  await db.query(
    'dead-deliveries.insert',
    `insert into dead_delivery (target, seq, payload, reason, attempts, room_id)
    select d.target, d.seq, d.payload, d.reason, d.attempts, r.id
    from unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::int[]) with ordinality
      as d(target, seq, payload, reason, attempts, n)
    join event e on e.seq = d.seq
    left join chat_room r on r.id = e.room_id and e.type <> ${EventType.LeaveRoom}
    where r.id is not null or e.room_id is null or e.type = ${EventType.LeaveRoom} order by d.n`,
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

/** What died so long ago that the log has its event no more. */
export async function deleteOldDeadDeliveries(db: Queryable, retentionHours: number): Promise<void> {
  for (;;) {
    const deleted = await db.query(
      'dead-deliveries.delete-old',
      `delete from dead_delivery where id = any (array(
        select id from dead_delivery where died_at < clock_timestamp() - make_interval(hours => $1) limit $2)) returning 1`,
      [retentionHours, DELETE_SLICE],
    )
    if (deleted.length < DELETE_SLICE) return
  }
}
