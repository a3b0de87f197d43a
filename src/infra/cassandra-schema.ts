/** Makes the keyspace and the tables of `cql/`, tells how far they are, and opens clients that find them there. */
import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import cassandra from 'cassandra-driver'
import type { CassandraConfig, Replication } from '../config/config.ts'
import { CassandraSetupError, createClient, reasonOf } from './cassandra.ts'

const DIRECTORY = fileURLToPath(new URL('../../cql/', import.meta.url))
const TABLE = 'ism_migration'
const DEFAULT_REPLICAS = 3

const CREATE_TABLE = `create table if not exists ${TABLE} (name text primary key, applied_at timestamp)`

type Client = cassandra.Client

export type KeyspaceStatus = {
  /** The server's name and version. */
  version: string
  datacenter: string
  /** `undefined` where there is no such keyspace. */
  replication: Record<string, string> | undefined
  applied: string[]
  /** What this version of ISM brings and the keyspace does not have. */
  pending: string[]
  /** What a newer version of ISM has done to the keyspace. */
  unknown: string[]
}

export type InitOptions = { logger: (line: string) => void; replication?: Replication | undefined; dryRun?: boolean }

/**
 * Makes what is missing. It may be called again and by several processes at once: schema changes go through one node,
 * the same for all of them, and the next statement waits until the nodes agree.
 *
 * @throws CassandraSetupError a refused log-in, an unknown datacenter; Error no node answers
 */
export async function initKeyspace(
  config: CassandraConfig,
  { logger, replication = config.replication, dryRun = false }: InitOptions,
): Promise<{ applied: string[]; cql?: string }> {
  const before = await keyspaceStatus(config)
  const create = createKeyspaceStatement(
    config.keyspace,
    await withCluster(config, async (client) => replicas(client, before.datacenter, replication)),
  )
  if (dryRun) return { applied: before.pending, cql: await dryRunOf(config.keyspace, before, create) }
  if (before.replication === undefined) {
    await withCluster(config, (client) => change(client, before.datacenter, create))
    logger(`keyspace ${config.keyspace} made`)
  } else if (replication !== undefined) {
    logger(`keyspace ${config.keyspace} exists: its replication stays as it is`)
  }
  const client = await connect(config, before.datacenter)
  try {
    await change(client, before.datacenter, CREATE_TABLE)
    for (const name of before.pending) {
      for (const statement of await statementsOf(name)) await change(client, before.datacenter, statement)
      await client.execute(`insert into ${TABLE} (name, applied_at) values (?, ?)`, [name, new Date()])
      logger(`applied ${name}`)
    }
    return { applied: before.pending }
  } finally {
    await client.shutdown()
  }
}

/** @throws CassandraSetupError a refused log-in, an unknown datacenter; Error no node answers */
export function keyspaceStatus(config: CassandraConfig): Promise<KeyspaceStatus> {
  return withCluster(config, async (client) => {
    const datacenter = localDatacenter(client, config)
    const [keyspace] = await rowsOf(client, 'select replication from system_schema.keyspaces where keyspace_name = ?', [
      config.keyspace,
    ])
    const [table] = await rowsOf(
      client,
      'select table_name from system_schema.tables where keyspace_name = ? and table_name = ?',
      [config.keyspace, TABLE],
    )
    const rows = table ? await rowsOf(client, `select name from "${config.keyspace}".${TABLE}`, []) : []
    const applied = rows.map((row) => String(row['name'])).sort()
    const known = await knownNames()
    return {
      version: await versionOf(client),
      datacenter,
      replication: keyspace?.['replication'],
      applied,
      pending: known.filter((name) => !applied.includes(name)),
      unknown: applied.filter((name) => !known.includes(name)),
    }
  })
}

/**
 * A connected client whose keyspace is there and has this version's tables.
 *
 * @throws CassandraSetupError the keyspace is missing, behind or newer; a refused log-in; Error no node answers
 */
export async function openKeyspace(config: CassandraConfig, logger: (line: string) => void): Promise<Client> {
  if (config.initKeyspace) await initKeyspace(config, { logger })
  const status = await keyspaceStatus(config)
  const problem = problemOf(config.keyspace, status)
  if (problem) throw new CassandraSetupError(problem)
  return await connect(config, status.datacenter)
}

/** What keeps this version from using the keyspace, and what to do about it. */
export function problemOf(keyspace: string, { replication, pending, unknown }: KeyspaceStatus): string | undefined {
  if (!replication) return `there is no keyspace ${keyspace}: run "ism init-keyspace"`
  if (pending.length > 0)
    return `keyspace ${keyspace} is behind, ${pending.join(', ')} is missing: run "ism init-keyspace"`
  if (unknown.length > 0) return `keyspace ${keyspace} is newer than this ISM: it has ${unknown.join(', ')}`
  return undefined
}

/** What a working configuration leads to, in one line. @throws as `openKeyspace` */
export async function checkKeyspace(config: CassandraConfig): Promise<string> {
  const status = await keyspaceStatus(config)
  const problem = problemOf(config.keyspace, status)
  const willBeMade = config.initKeyspace && status.unknown.length === 0
  if (problem && !willBeMade) throw new CassandraSetupError(problem)
  const state = problem ? 'will be made or brought on' : 'is up to date'
  return `${status.version} in ${status.datacenter}, keyspace ${config.keyspace} ${state}`
}

async function connect(config: CassandraConfig, datacenter: string): Promise<Client> {
  const client = createClient(config, { keyspace: config.keyspace, datacenter })
  await connected(client)
  return client
}

/** With a client of its own that knows of no keyspace and no datacenter yet. */
async function withCluster<T>(config: CassandraConfig, work: (client: Client) => Promise<T>): Promise<T> {
  const client = createClient(config, {})
  await connected(client)
  try {
    return await work(client)
  } finally {
    await client.shutdown()
  }
}

async function connected(client: Client): Promise<void> {
  try {
    await client.connect()
  } catch (error) {
    await client.shutdown().catch(() => {})
    const reason = reasonOf(error)
    const inner = error instanceof cassandra.errors.NoHostAvailableError ? Object.values(error.innerErrors ?? {}) : []
    const isRefused = [error, ...inner].some((each) => each instanceof cassandra.errors.AuthenticationError)
    throw isRefused ? new CassandraSetupError(`the log-in was refused: ${reason}`) : new Error(reason)
  }
}

function localDatacenter(client: Client, { localDatacenter: configured }: CassandraConfig): string {
  const names = [...new Set(client.hosts.values().map(({ datacenter }) => datacenter))].sort()
  if (configured !== undefined) {
    if (names.includes(configured)) return configured
    throw new CassandraSetupError(`there is no datacenter ${configured}; local_datacenter may be ${names.join(' or ')}`)
  }
  const [only, ...more] = names
  if (only !== undefined && more.length === 0) return only
  throw new CassandraSetupError(`local_datacenter must say which one to use: ${names.join(', ')}`)
}

function replicas(client: Client, datacenter: string, replication: Replication | undefined): Record<string, number> {
  if (typeof replication === 'object') return replication
  const nodes = client.hosts.values().filter((host) => host.datacenter === datacenter).length
  return { [datacenter]: replication ?? Math.min(DEFAULT_REPLICAS, nodes) }
}

function createKeyspaceStatement(keyspace: string, replication: Record<string, number>): string {
  const each = Object.entries(replication).map(([datacenter, count]) => `, '${datacenter}': ${count}`)
  return `create keyspace if not exists "${keyspace}" with replication = {'class': 'NetworkTopologyStrategy'${each.join('')}}`
}

async function dryRunOf(keyspace: string, { replication, pending }: KeyspaceStatus, create: string): Promise<string> {
  const files = await Promise.all(
    pending.map(async (name) => `-- ${name}\n${await readFile(`${DIRECTORY}${name}.cql`, 'utf8')}`),
  )
  return [
    ...(replication ? [] : [`${create};\n`]),
    ...(files.length > 0 ? [`use "${keyspace}";\n`] : []),
    ...files,
  ].join('\n')
}

/** A schema change, on the same node whoever makes it. */
async function change(client: Client, datacenter: string, statement: string): Promise<void> {
  const host = client.hosts
    .values()
    .filter((candidate) => candidate.datacenter === datacenter && candidate.isUp())
    .sort((a, b) => (a.address < b.address ? -1 : 1))[0]
  const { info } = await client.execute(statement, [], {
    prepare: false,
    readTimeout: 30_000,
    ...(host ? { host } : {}),
  })
  // The driver waits for agreement; its types do not know of the answer.
  if (!(info as { isSchemaInAgreement?: boolean }).isSchemaInAgreement)
    throw new Error('the nodes do not agree on the schema; try again when all are up')
}

async function rowsOf(client: Client, query: string, params: unknown[]): Promise<cassandra.types.Row[]> {
  return (await client.execute(query, params)).rows
}

/** ScyllaDB says who it is in a table of its own; its release_version is the Cassandra that it follows. */
async function versionOf(client: Client): Promise<string> {
  const [local] = await rowsOf(client, 'select release_version from system.local', [])
  const [scylla] = await rowsOf(client, 'select version from system.versions', []).catch(() => [])
  return scylla ? `ScyllaDB ${scylla['version']}` : `Cassandra ${local?.['release_version']}`
}

async function knownNames(): Promise<string[]> {
  const files = (await readdir(DIRECTORY)).filter((file) => file.endsWith('.cql')).sort()
  return files.map((file) => file.slice(0, -'.cql'.length))
}

/** A file's statements end with a semicolon at a line's end; lines of comments begin with two dashes. */
async function statementsOf(name: string): Promise<string[]> {
  const text = (await readFile(`${DIRECTORY}${name}.cql`, 'utf8')).replace(/^--.*$/gm, '')
  return text
    .split(/;\s*$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '')
}
