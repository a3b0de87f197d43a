/** What is put under stress: nodes, a PostgreSQL of their own with fsync, and the servers that the environment names. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { PostgresConfig } from '../../src/config/config.ts'
import { type Cluster, startCluster } from '../../src/embedded/postgres/cluster.ts'
import { migrate } from '../../src/infra/migrations.ts'
import { createKeyspace, type TestKeyspace } from '../support/keyspace.ts'
import { type IsmNode, type Sections, Service } from '../support/node.ts'
import { ServerProcess } from '../support/server-process.ts'
import { endProcesses } from '../support/test-process.ts'

export type System = {
  service: Service
  nodes: IsmNode[]
  cluster: Cluster
  /** Where messages are kept, if not in PostgreSQL. */
  keyspace: TestKeyspace | undefined
  /** Those of the environment that may be killed. */
  servers: ServerProcess[]
  close(): Promise<void>
}

type Environment = Record<string, string | undefined>

export async function startSystem(nodeCount: number, env: Environment = process.env): Promise<System> {
  const cleanUps: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const cleanUp of cleanUps.reverse()) await cleanUp()
  }
  try {
    const directory = await mkdtemp(join(tmpdir(), 'ism-chaos-'))
    cleanUps.push(() => rm(directory, { recursive: true, force: true }))
    const cluster = await startCluster({ directory, temporary: true, progress: () => undefined })
    cleanUps.push(() => cluster.stop())
    const { ISM_TEST_CASSANDRA: cassandra, ISM_TEST_REDIS_URL: redis } = env
    const keyspace = cassandra ? await createKeyspace(cassandra) : undefined
    // A Cassandra that has not come back keeps it: that is found elsewhere.
    if (keyspace) cleanUps.push(() => keyspace.drop().catch(() => {}))
    const sections: Sections = {
      '': redis ? { redis_cache_url: redis } : {},
      // Little memory, so that streams often resume from the database.
      log: { memory_mib: 1 },
      // A cursor every twelve seconds, and readers that stall are soon disconnected.
      streams: { keep_alive: 1, max_buffered_kib: 64 },
      ...(cassandra && keyspace
        ? { message_db_config: { db_url: cassandra, db_keyspace: keyspace.config.keyspace } }
        : {}),
    }
    const service = await Service.create(await makeDatabase(cluster), { sections })
    cleanUps.push(() => service.close(), endProcesses)
    const nodes = await Promise.all(Array.from({ length: nodeCount }, () => service.node()))
    return { service, nodes, cluster, keyspace, servers: serversOf(env), close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Only what the environment says how to start again may be killed. */
function serversOf(env: Environment): ServerProcess[] {
  const known = [
    ['Redis', env['ISM_TEST_REDIS_URL'], env['ISM_TEST_START_REDIS']],
    ['Cassandra', env['ISM_TEST_CASSANDRA'], env['ISM_TEST_START_CASSANDRA']],
  ] as const
  return known.flatMap(([name, address, start]) => (address && start ? [new ServerProcess(name, address, start)] : []))
}

async function makeDatabase({ connection }: Cluster): Promise<PostgresConfig> {
  const config = {
    ...connection,
    database: 'ism',
    ssl: 'off',
    sslCa: undefined,
    poolSize: 1,
    transactionPooler: false,
  } as const
  const client = new pg.Client({ ...connection, database: 'postgres' })
  await client.connect()
  await client.query('create database ism')
  await client.end()
  await migrate(config, { logger: () => {} })
  return config
}
