/** A keyspace of a test file's own, in the Cassandra that the environment names. */
import { randomBytes } from 'node:crypto'
import cassandra from 'cassandra-driver'
import type { CassandraConfig } from '../../src/config/config.ts'
import { initKeyspace } from '../../src/infra/cassandra-schema.ts'

export type TestKeyspace = {
  config: CassandraConfig
  /** The test's own connection, in the keyspace. */
  client: cassandra.Client
  drop(): Promise<void>
}

/** @param address `host:port` of a node, as ISM_TEST_CASSANDRA has it */
export function cassandraConfig(address: string, overrides: Partial<CassandraConfig> = {}): CassandraConfig {
  return {
    provider: 'cassandra',
    contactPoints: [address],
    localDatacenter: undefined,
    keyspace: `ism_test_${randomBytes(6).toString('hex')}`,
    credentials: undefined,
    consistency: 'LOCAL_QUORUM',
    tls: { mode: 'off', ca: undefined, cert: undefined, key: undefined },
    replication: 1,
    initKeyspace: false,
    settleMilliseconds: 0,
    ...overrides,
  }
}

export async function createKeyspace(address: string, overrides: Partial<CassandraConfig> = {}): Promise<TestKeyspace> {
  const config = cassandraConfig(address, overrides)
  await initKeyspace(config, { logger: () => {} })
  const client = await connectClient(address, config.keyspace)
  return {
    config,
    client,
    async drop() {
      await dropKeyspace(client, config.keyspace)
      await client.shutdown()
    },
  }
}

export async function connectClient(address: string, keyspace?: string): Promise<cassandra.Client> {
  const client = new cassandra.Client({
    contactPoints: [address],
    policies: {
      loadBalancing: new cassandra.policies.loadBalancing.RoundRobinPolicy(),
      reconnection: new cassandra.policies.reconnection.ConstantReconnectionPolicy(200),
    },
    socketOptions: { readTimeout: 30_000 },
    ...(keyspace === undefined ? {} : { keyspace }),
  })
  await client.connect()
  return client
}

export async function dropKeyspace(client: cassandra.Client, keyspace: string): Promise<void> {
  await client.execute(`drop keyspace if exists "${keyspace}"`, [], { readTimeout: 30_000 })
}
