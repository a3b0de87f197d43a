/** A transaction that holds the log's lock, so that what is sent meanwhile stays in flight for as long as a test likes. */
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'

export type LogLock = {
  /** Resolves when so many wait for the lock, one unless given. */
  isWaitedFor(waiting?: number): Promise<void>
  release(): Promise<void>
}

/** How many wait for the log's lock. */
export async function waitingForLog(sql: Pick<pg.ClientBase, 'query'>): Promise<number> {
  const { rowCount } = await sql.query(
    `select from pg_locks where locktype = 'advisory' and objid = 5403 and not granted
    and database = (select oid from pg_database where datname = current_database())`,
  )
  return rowCount ?? 0
}

export async function holdLogLock(config: pg.ClientConfig): Promise<LogLock> {
  const client = new pg.Client(config)
  client.on('error', () => {})
  await client.connect()
  await client.query('begin')
  await client.query('select lock_log()')
  return {
    async isWaitedFor(waiting = 1) {
      for (;;) {
        if ((await waitingForLog(client)) >= waiting) return
        await delay(5)
      }
    },
    async release() {
      await client.query('commit')
      await client.end()
    },
  }
}
