/** A database of a test file's own, cloned from the migrated template in some ten milliseconds. */

import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { inject } from 'vitest'
import type { PostgresConfig } from '../../src/config/config.ts'

export const TEMPLATE_DATABASE = 'ism_template'

export type TestDatabase = { config: PostgresConfig; drop(): Promise<void> }

export type DatabaseOptions = {
  /** Without ISM's tables: for tests of the migrations themselves. */
  empty?: boolean
  poolSize?: number
}

export async function createDatabase(options: DatabaseOptions = {}): Promise<TestDatabase> {
  const connection = inject('postgres')
  const database = `ism_test_${randomBytes(8).toString('hex')}`
  const template = options.empty ? 'template0' : TEMPLATE_DATABASE
  await asSuperuser((client) => clone(client, database, template))
  return {
    config: {
      ...connection,
      database,
      ssl: 'off',
      sslCa: undefined,
      poolSize: options.poolSize ?? 10,
      transactionPooler: false,
    },
    drop: () => asSuperuser((client) => client.query(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`)),
  }
}

/** PostgreSQL refuses to copy a template that anybody is connected to, autovacuum included. */
async function clone(client: pg.Client, database: string, template: string): Promise<void> {
  const deadline = Date.now() + 10_000
  for (;;) {
    try {
      await client.query(`CREATE DATABASE ${database} TEMPLATE ${template} STRATEGY FILE_COPY`)
      return
    } catch (error) {
      if ((error as { code?: string }).code !== '55006' || Date.now() > deadline) throw error
      await delay(20)
    }
  }
}

async function asSuperuser(action: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ ...inject('postgres'), database: 'postgres' })
  await client.connect()
  try {
    await action(client)
  } finally {
    await client.end()
  }
}
