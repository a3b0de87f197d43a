/** One keyspace for all files of the run: rooms have ids of their own. */
import type { TestProject } from 'vitest/node'
import type { CassandraConfig } from '../../src/config/config.ts'
import { createKeyspace } from './keyspace.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Where `startIsm` keeps messages; PostgreSQL where it is not provided. */
    cassandra: CassandraConfig | undefined
  }
}

export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const address = process.env['ISM_TEST_CASSANDRA']
  if (!address) return undefined
  const keyspace = await createKeyspace(address)
  project.provide('cassandra', keyspace.config)
  return () => keyspace.drop()
}
