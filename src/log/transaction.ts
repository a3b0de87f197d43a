/** Transactions that write rooms, members, relationships or friend counts: each holds the log's lock from its start. */
import { type Connection, type Database, errorCode, type Queryable } from '../infra/postgres.ts'
import { unavailable } from '../shared/app-error.ts'
import type { EventType, MessageType } from './event.ts'

/** An event to append; what it leaves out is null in its row. `body` and `preview` are JSON. */
export type NewEvent = {
  type: EventType
  roomId?: string
  recipients?: string[]
  /** Who made it, where it is no message. */
  makerId?: string
  body: string
  message?: {
    roomSeq: number
    messageId: string
    senderId: string
    messageType: MessageType
    createdAt: Date
    preview: string
  }
}

export interface LogTransaction extends Queryable {
  /** The log's clock when the transaction began. */
  readonly time: Date
  /** @returns the event's seq */
  append(event: NewEvent): Promise<number>
}

/** Makes no network call but through its transaction, and may run again from its start. */
export type TransactionWork<T> = (transaction: LogTransaction) => Promise<T>

export interface LogTransactions {
  run<T>(work: TransactionWork<T>): Promise<T>
}

/**
 * The lock comes in a statement of its own, so that later statements see all that its last holder committed. Another
 * node that is frozen inside a transaction loses it, and with it the lock, after two seconds.
 */
const BEGIN = `begin;
  set local lock_timeout = '5s';
  set local statement_timeout = '10s';
  set local idle_in_transaction_session_timeout = '2s';
  select lock_log()`

/** As long as PostgreSQL lets a transaction wait for the lock. */
const TURN_TIMEOUT_MS = 5_000

const ATTEMPTS = 4
const DEADLOCK = '40P01'
const SERIALIZATION_FAILURE = '40001'

/**
 * A node's transactions take turns: they would only wait for each other at the lock. Were several of them there when the
 * node freezes, each would hold the others up for its own two seconds.
 */
export function createLogTransactions(db: Database, onCommit: (seq: number) => void): LogTransactions {
  let last: Promise<unknown> = Promise.resolve()

  function inTurn<T>(action: () => Promise<T>): Promise<T> {
    const since = performance.now()
    const turn = last.then(() => {
      if (performance.now() - since > TURN_TIMEOUT_MS) throw unavailable('Too much waits to be stored.')
      return action()
    })
    last = turn.catch(() => {})
    return turn
  }

  return {
    async run(work) {
      for (let attempt = 1; ; attempt++) {
        try {
          const { result, seq } = await inTurn(() => db.withConnection((connection) => attemptOnce(connection, work)))
          onCommit(seq)
          return result
        } catch (error) {
          const code = errorCode(error)
          if (attempt === ATTEMPTS || (code !== DEADLOCK && code !== SERIALIZATION_FAILURE)) throw error
        }
      }
    },
  }
}

/** `seq`: the newest event's, or 0 where nothing was appended. */
async function attemptOnce<T>(connection: Connection, work: TransactionWork<T>): Promise<{ result: T; seq: number }> {
  await connection.execute(BEGIN)
  try {
    const [clock] = await connection.query<{ time: Date }>('log.time', 'select log_time() as time')
    if (!clock) throw new Error('log_time() returned no row')
    let seq = 0
    const result = await work({
      query: connection.query,
      time: clock.time,
      async append(event) {
        const appended = await append(connection, event)
        seq = Math.max(seq, appended)
        return appended
      },
    })
    await connection.execute('commit')
    return { result, seq }
  } catch (error) {
    // Where the rollback fails too, the connection is closed for it, and the server rolls back.
    await connection.execute('rollback').catch(() => {
      throw unavailable('The database is not available.', error)
    })
    throw error
  }
}

async function append(on: Queryable, event: NewEvent): Promise<number> {
  const { message } = event
  const [row] = await on.query<{ seq: number }>(
    'log.append-event',
    `select append_event($1::smallint, $2::uuid, $3::uuid[], $4::bigint, $5::uuid, $6::uuid, $7::smallint,
      $8::timestamptz, $9::text, $10::text) as seq`,
    [
      event.type,
      event.roomId ?? null,
      event.recipients ?? null,
      message?.roomSeq ?? null,
      message?.messageId ?? null,
      message?.senderId ?? event.makerId ?? null,
      message?.messageType ?? null,
      message?.createdAt ?? null,
      message?.preview ?? null,
      event.body,
    ],
  )
  if (!row) throw new Error('append_event() returned no row')
  return row.seq
}
