/** A keyspace of the bench's own, where the environment names a Cassandra. */
import type { CassandraConfig } from '../../src/config/config.ts'
import { initKeyspace } from '../../src/infra/cassandra-schema.ts'
import { cassandraConfig, connectClient, dropKeyspace } from '../../tests/support/keyspace.ts'

export type Keyspace = {
  config: CassandraConfig
  /** For the configuration of ISM. */
  sections: string
  drop(): Promise<void>
}

export const WITHOUT_CASSANDRA = 'ISM_TEST_CASSANDRA, host:port of a Cassandra, is not set'

/** @returns `undefined` where no Cassandra is named */
export async function makeKeyspace(): Promise<Keyspace | undefined> {
  const address = process.env['ISM_TEST_CASSANDRA']
  if (!address) return undefined
  const config = cassandraConfig(address)
  await initKeyspace(config, { logger: () => {} })
  return {
    config,
    sections: `[message_db_config]\ndb_url = "${address}"\ndb_keyspace = "${config.keyspace}"\n`,
    async drop() {
      const client = await connectClient(address)
      await dropKeyspace(client, config.keyspace)
      await client.shutdown()
    },
  }
}
