/** One connection to the configured database, for a command's work. */
import type { PostgresConfig } from '../config/config.ts'
import type { Database } from '../infra/postgres.ts'

/** No such function, no such table, no such column (PostgreSQL, appendix A). */
const BEHIND = /^42(883|P01|703)$/

/** @throws Error what `work` rejects with; that it is behind, where it lacks what this ISM needs */
export async function withDatabase<T>(
  { postgres }: { postgres: PostgresConfig },
  work: (db: Database) => Promise<T>,
): Promise<T> {
  const { openDatabase, errorCode } = await import('../infra/postgres.ts')
  const db = openDatabase({ ...postgres, poolSize: 1 }, { queryStarted() {}, connectionFailed() {} })
  try {
    return await work(db)
  } catch (error) {
    if (!BEHIND.test(errorCode(error) ?? '')) throw error
    throw new Error('the database is behind this ISM: run "ism migrate"', { cause: error })
  } finally {
    await db.close()
  }
}
