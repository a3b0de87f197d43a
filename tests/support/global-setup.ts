/** One PostgreSQL for the whole run, without fsync, with a migrated template that each test file's database is cloned from. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { TestProject } from 'vitest/node'
import { type Connection, startCluster } from '../../src/embedded/postgres/cluster.ts'
import { migrate } from '../../src/infra/migrations.ts'
import { TEMPLATE_DATABASE } from './database.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    postgres: Connection
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const directory = await mkdtemp(join(tmpdir(), 'ism-test-'))
  const cluster = await startCluster({
    directory,
    progress: () => undefined,
    durable: false,
    temporary: true,
    maxConnections: 300,
  })
  const teardown = async () => {
    await cluster.stop()
    await rm(directory, { recursive: true, force: true })
  }
  try {
    await makeTemplate(cluster.connection)
  } catch (error) {
    await teardown()
    throw error
  }
  project.provide('postgres', cluster.connection)
  return teardown
}

async function makeTemplate(connection: Connection): Promise<void> {
  const client = new pg.Client({ ...connection, database: 'postgres' })
  await client.connect()
  try {
    await client.query(`CREATE DATABASE ${TEMPLATE_DATABASE}`)
    const messages: string[] = []
    await migrate(
      {
        ...connection,
        database: TEMPLATE_DATABASE,
        ssl: 'off',
        sslCa: undefined,
        poolSize: 1,
        transactionPooler: false,
      },
      { logger: (line) => messages.push(line) },
    ).catch((error: Error) => {
      throw new Error(`The test template cannot be migrated: ${error.message}\n${messages.join('\n')}`, {
        cause: error,
      })
    })
    // Cloning reads the template's files: what migrating wrote must be in them.
    await client.query('CHECKPOINT')
  } finally {
    await client.end()
  }
}
