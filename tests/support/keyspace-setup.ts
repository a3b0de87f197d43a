/** One keyspace for all files of the run: rooms have ids of their own. */
import type { TestProject } from 'vitest/node'
import type { CassandraConfig } from '../../src/config/config.ts'
import { initKeyspace } from '../../src/infra/cassandra-schema.ts'
import { cassandraConfig, connectClient, dropKeyspace } from './keyspace.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Where `startIsm` keeps messages; PostgreSQL where it is not provided. */
    cassandra: CassandraConfig | undefined
  }
}

export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const address = process.env['ISM_TEST_CASSANDRA']
  if (!address) return undefined
  const config = cassandraConfig(address)
  await initKeyspace(config, { logger: () => {} })
  project.provide('cassandra', config)
  // No connection in between: suites kill the server meanwhile.
  return async () => {
    const client = await connectClient(address)
    await dropKeyspace(client, config.keyspace)
    await client.shutdown()
  }
}
