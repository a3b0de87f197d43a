/** What has to hold before ISM serves: a database that answers, and that has this version's schema. */
import type { PostgresConfig } from './config/config.ts'
import { migrate, migrationStatus } from './infra/migrations.ts'
import { errorCode } from './infra/postgres.ts'
import type { Logger } from './observability/logger.ts'
import type { Scrape } from './observability/scrape.ts'

const WAIT_MS = 30_000
const RETRY_MS = 500
/** Invalid password, no such role or database, no permission: waiting does not help. */
const HOPELESS = /^(28...|3D000|42501)$/

export type StartOptions = {
  logger: Logger
  migrate: boolean
  /** Gets a line for each migration, instead of the log: somebody is watching a terminal. */
  progress?: (line: string) => void
  /** What tells this process from others of its host, for operators. */
  name?: string
  /** What /metrics answers in place of this process's own. */
  scrape?: Scrape
}

/** @throws Error after 30 seconds without an answer, and at once for a refused log-in or another schema */
export async function prepareDatabase(config: PostgresConfig, options: StartOptions): Promise<void> {
  const { logger, progress = (line) => logger.info(line) } = options
  const status = await untilAnswered(() => migrationStatus(config), logger)
  if (status.unknown.length > 0)
    throw new Error(
      `the database is newer than this ISM: it has ${status.unknown.join(', ')}. Run the version that migrated it.`,
    )
  if (status.pending.length === 0) return
  if (!options.migrate)
    throw new Error(
      `the database is behind this ISM: ${status.pending.join(', ')} is missing. Run "ism migrate", or "ism serve --migrate".`,
    )
  await migrate(config, { logger: (line) => progress(`migration: ${line}`) })
}

async function untilAnswered<T>(ask: () => Promise<T>, logger: Logger): Promise<T> {
  const deadline = Date.now() + WAIT_MS
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (HOPELESS.test(errorCode(error) ?? '')) throw error
      if (Date.now() > deadline)
        throw new Error(`PostgreSQL did not answer within ${WAIT_MS / 1_000} seconds: ${reasonOf(error)}`, {
          cause: error,
        })
      logger.warn({ reason: reasonOf(error) }, 'PostgreSQL does not answer: trying again')
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ')
  return error instanceof Error ? error.message : String(error)
}
