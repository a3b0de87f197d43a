/** Retention: partitions made ahead, the log cut by size or age, and its oldest part dropped once all else has it. */
import type { Database, Queryable } from '../infra/postgres.ts'
import { breakProjections } from './projection.ts'
import type { LogTransactions } from './transaction.ts'

export type RetentionOptions = {
  retentionHours: number
  partitionSpan: number
  /** The projection that alone holds the log back. */
  archive: string
}

type Partition = { from: number; to: number; lastSeq: number | null; lastLoggedAt: Date | null }

/** Rooms whose heads one transaction folds: it holds the log's lock meanwhile. */
const FOLD_SLICE = 500
/** A log kept for a week is cut about once a day. */
const CUTS_A_RETENTION = 7

/** Safe to run on several nodes at once and again after a crash at any point. */
export class Retention {
  readonly #db: Database
  readonly #transactions: LogTransactions
  readonly #options: RetentionOptions

  constructor(db: Database, transactions: LogTransactions, options: RetentionOptions) {
    this.#db = db
    this.#transactions = transactions
    this.#options = options
  }

  /** @returns how many partitions were dropped */
  async run(): Promise<number> {
    const { retentionHours, partitionSpan } = this.#options
    await this.#db.query('retention.extend', 'select extend_event_log($1)', [partitionSpan])
    await this.#db.query('retention.cut', 'select cut_event_log(make_interval(secs => $1))', [
      (retentionHours * 3_600) / CUTS_A_RETENTION,
    ])
    let dropped = 0
    for (const partition of await this.#expired()) {
      await this.#fold(partition)
      await this.#markTrimmed(partition)
      await this.#drop(partition)
      dropped++
    }
    return dropped
  }

  /**
   * The oldest partitions, as long as each is wholly archived and past its time, or was trimmed before a crash. Judged
   * under the log's lock: a batch that is on its way may have passed a partition's end and still have events in it.
   * An event has to come after them, so that the log's head is one that the tails have read.
   */
  async #expired(): Promise<Partition[]> {
    const partitions = await this.#transactions.run((transaction) =>
      transaction.query<Partition & { expired: boolean }>(
        'retention.expired',
        `select p.from_seq as "from", p.to_seq as "to", e.seq as "lastSeq", e.logged_at as "lastLoggedAt",
        p.to_seq - 1 <= l.trimmed_seq or (
          p.to_seq <= (select e.seq from event e order by e.seq desc limit 1)
          and coalesce(e.seq, 0) <= coalesce((select seq from projection where name = $1), 0)
          and coalesce(e.logged_at < clock_timestamp() - make_interval(hours => $2), true)) as expired
      from event_partition p cross join event_log l
      left join lateral (
        select e.seq, e.logged_at from event e where e.seq >= p.from_seq and e.seq < p.to_seq order by e.seq desc limit 1)
        e on true
      order by p.from_seq`,
        [this.#options.archive, this.#options.retentionHours],
      ),
    )
    const kept = partitions.findIndex(({ expired }) => !expired)
    return partitions.slice(0, kept === -1 ? 0 : kept)
  }

  /** What was derived from these events is written to the rows of their rooms and members. */
  async #fold({ from, to }: Partition): Promise<void> {
    let after: string | undefined = '00000000-0000-0000-0000-000000000000'
    while (after !== undefined) {
      const slice: string = after
      after = await this.#transactions.run(async (transaction) => {
        const rooms = await roomsOf(transaction, from, to, slice)
        if (rooms.length > 0) await foldRooms(transaction, from, to, rooms)
        return rooms.length === FOLD_SLICE ? rooms.at(-1) : undefined
      })
    }
  }

  /** Before the events go, so that who needs one of them is told to reload. */
  async #markTrimmed({ to, lastSeq, lastLoggedAt }: Partition): Promise<void> {
    await this.#transactions.run(async (transaction) => {
      if (lastSeq !== null) await breakProjections(transaction, [this.#options.archive], lastSeq)
      await transaction.query(
        'retention.mark',
        `update event_log set trimmed_seq = greatest(trimmed_seq, $1::bigint - 1), trimmed_at = greatest(trimmed_at, $2)`,
        [to, lastLoggedAt],
      )
      await transaction.query('retention.memberships', 'delete from room_membership where to_seq < $1', [to])
    })
  }

  async #drop({ from }: Partition): Promise<void> {
    const table = `event_${from}`
    await this.#db.withConnection(async (connection) => {
      await detach(connection, table)
      await connection.execute(`drop table if exists ${table}`)
      await connection.query('retention.forget', 'delete from event_partition where from_seq = $1', [from])
    })
  }
}

/** Concurrently: its locks on the log let appends pass, however long it waits for old snapshots. */
async function detach(connection: { execute(text: string): Promise<void> } & Queryable, table: string): Promise<void> {
  const [attached] = await connection.query<{ pending: boolean }>(
    'retention.attached',
    `select i.inhdetachpending as pending from pg_inherits i
    where i.inhparent = 'event'::regclass and i.inhrelid = to_regclass($1)`,
    [table],
  )
  if (!attached) return
  if (attached.pending) return connection.execute(`alter table event detach partition ${table} finalize`)
  await connection.execute(`alter table event detach partition ${table} concurrently`)
}

async function roomsOf(db: Queryable, from: number, to: number, after: string): Promise<string[]> {
  const rows = await db.query<{ id: string }>(
    'retention.rooms',
    `select distinct e.room_id as id from event e
    where e.seq >= $1 and e.seq < $2 and e.room_seq is not null and e.room_id > $3 order by e.room_id limit $4`,
    [from, to, after, FOLD_SLICE],
  )
  return rows.map(({ id }) => id)
}

async function foldRooms(db: Queryable, from: number, to: number, rooms: string[]): Promise<void> {
  await db.query(
    'retention.fold-rooms',
    `update chat_room r
    set room_seq = e.room_seq, latest_message = e.created_at, latest_message_preview_text = e.preview
    from unnest($3::uuid[]) as f(id)
    cross join lateral (
      select e.room_seq, e.created_at, e.preview from event e
      where e.room_id = f.id and e.room_seq is not null and e.seq >= $1 and e.seq < $2 order by e.seq desc limit 1) e
    where r.id = f.id and r.room_seq < e.room_seq`,
    [from, to, rooms],
  )
  await db.query(
    'retention.fold-members',
    `update chat_room_participant p
    set last_read_room_seq = greatest(p.last_read_room_seq, e.room_seq),
      last_message_read_at = greatest(p.last_message_read_at, e.created_at)
    from (
      select e.room_id, e.sender_id, max(e.room_seq) as room_seq, max(e.created_at) as created_at from event e
      where e.room_id = any ($3::uuid[]) and e.type = 1 and e.seq >= $1 and e.seq < $2 group by 1, 2) e
    where p.room_id = e.room_id and p.user_id = e.sender_id`,
    [from, to, rooms],
  )
}
