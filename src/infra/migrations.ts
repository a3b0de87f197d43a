/** Brings the database to the schema in `migrations/`, and tells how far it is. */
import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import type { PostgresConfig } from '../config/config.ts'
import { clientConfig } from './postgres.ts'

const DIRECTORY = fileURLToPath(new URL('../../migrations/', import.meta.url))
const TABLE = 'ism_migration'

export type MigrationStatus = {
  applied: string[]
  /** What this version of ISM brings and the database does not have. */
  pending: string[]
  /** What a newer version of ISM has done to the database. */
  unknown: string[]
}

/**
 * Applies what is pending, all of it in one transaction. Several processes may call it at once: one works, the others
 * wait for it and find nothing to do. `dryRun` changes nothing and returns the SQL.
 */
export async function migrate(
  config: PostgresConfig,
  options: { logger: (line: string) => void; dryRun?: boolean },
): Promise<{ applied: string[]; sql?: string }> {
  if (options.dryRun) {
    const { pending } = await migrationStatus(config)
    const files = await Promise.all(
      pending.map(async (name) => `-- ${name}\n${await readFile(`${DIRECTORY}${name}.sql`, 'utf8')}`),
    )
    return { applied: pending, sql: files.join('\n') }
  }
  const silent = () => {}
  const client = new pg.Client({ ...clientConfig(config), application_name: 'ism migrate' })
  client.on('error', silent)
  client.on('notice', (notice) => {
    if (notice.severity === 'WARNING') options.logger(`warning: ${notice.message}`)
  })
  await client.connect()
  try {
    // Loaded where something is to be applied: most starts have nothing pending.
    const { runner } = await import('node-pg-migrate')
    const applied = await runner({
      dbClient: client,
      dir: DIRECTORY,
      ignorePattern: '(?!.*\\.sql$).*',
      migrationsTable: TABLE,
      direction: 'up',
      advisoryLockMode: 'wait',
      singleTransaction: true,
      verbose: false,
      logger: { debug: silent, info: silent, warn: options.logger, error: options.logger },
    })
    for (const { name } of applied) options.logger(`applied ${name}`)
    return { applied: applied.map(({ name }) => name) }
  } finally {
    await client.end()
  }
}

export async function migrationStatus(config: PostgresConfig): Promise<MigrationStatus> {
  const client = new pg.Client(clientConfig(config))
  client.on('error', () => {})
  await client.connect()
  try {
    const { rows: found } = await client.query<{ there: boolean }>(`select to_regclass($1) is not null as there`, [
      TABLE,
    ])
    const { rows } = found[0]?.there
      ? await client.query<{ name: string }>(`select name from ${TABLE} order by id`)
      : { rows: [] }
    const applied = rows.map(({ name }) => name)
    const known = (await readdir(DIRECTORY))
      .filter((file) => file.endsWith('.sql'))
      .map((file) => file.slice(0, -'.sql'.length))
      .sort()
    return {
      applied,
      pending: known.filter((name) => !applied.includes(name)),
      unknown: applied.filter((name) => !known.includes(name)),
    }
  } finally {
    await client.end()
  }
}
