/** Who waits in PostgreSQL for somebody else's lock: in one test file's database, for other files use the same server. */
import type pg from 'pg'

/** How many connections to this database wait for a lock, of that table where one is named. */
export async function waitingForLocks(sql: Pick<pg.Pool, 'query'>, table?: string): Promise<number> {
  // A row's lock is waited for as that of a transaction, which is in no database.
  const { rowCount } = await sql.query(
    `select from pg_stat_activity a
    where a.datname = current_database() and a.wait_event_type = 'Lock'
      and ($1::text is null or exists (
        select from pg_locks l where l.pid = a.pid and not l.granted and l.relation = $1::regclass))`,
    [table ?? null],
  )
  return rowCount ?? 0
}
