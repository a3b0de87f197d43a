/** What the driver does when its connection breaks at a bad moment; parts of it are replaced to bring that about. */
import { expect, test } from 'vitest'
import type { CassandraConfig } from '../../src/config/config.ts'
import { createClient } from '../../src/infra/cassandra.ts'

type Inside = {
  controlConnection: {
    connection: unknown
    _triedHosts: object
    _refresh(hosts: Iterator<unknown>): Promise<void>
    _refreshControlConnection(): Promise<void>
    _refreshHosts(): Promise<void>
  }
}

test('a look at the cluster that another one has overtaken is no unhandled rejection', async () => {
  const config: CassandraConfig = {
    provider: 'cassandra',
    contactPoints: ['127.0.0.1:1'],
    localDatacenter: 'datacenter1',
    keyspace: 'none',
    credentials: undefined,
    consistency: 'LOCAL_QUORUM',
    tls: { mode: 'off', ca: undefined, cert: undefined, key: undefined },
    replication: undefined,
    initKeyspace: false,
    settleMilliseconds: 0,
  }
  const { controlConnection } = createClient(config, {}) as unknown as Inside
  controlConnection._triedHosts = {}
  controlConnection._refreshControlConnection = async () => {
    controlConnection.connection = { endpoint: 'broken', endpointFriendlyName: 'broken' }
  }
  controlConnection._refreshHosts = async () => {
    controlConnection.connection = null
    throw new Error('the connection was closed')
  }
  await expect(controlConnection._refresh([][Symbol.iterator]())).resolves.toBeUndefined()
})
