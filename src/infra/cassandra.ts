/** Cassandra and ScyllaDB: how ISM connects to a cluster, and what its errors mean to a caller. */
import { createRequire } from 'node:module'
import { setTimeout as delay } from 'node:timers/promises'
import cassandra from 'cassandra-driver'
import type { CassandraConfig } from '../config/config.ts'
import { unavailable } from '../shared/app-error.ts'

const { Client, ExecutionProfile, errors, policies, types } = cassandra

export type Row = cassandra.types.Row

export type Statement = { query: string; params: unknown[] }

reconnectOnce()

const CONNECT_TIMEOUT_MS = 3_000
/** A page that takes longer is better answered from the log, or not at all: its reader waits. */
const READ_TIMEOUT_MS = 2_000
/** Nobody waits for the archive; above the server's own write timeout (2 s), so that its answer comes first. */
const WRITE_TIMEOUT_MS = 5_000
/** A replica slower than this is raced by another one. Writes are not: a slow cluster does not need more of them. */
const SPECULATIVE_READ_MS = 200
/** How long a failed attempt to connect answers for all that come meanwhile. */
const CONNECT_AGAIN_MS = 1_000
/** As long as a cluster may take to start again at the addresses that it had. */
const PATIENCE_MS = 60_000
const HEARTBEAT_MS = 10_000
const RECONNECT_MS = 1_000
const AGREEMENT_SECONDS = 30
const CLOSE_MS = 1_000

/** What waiting does not mend: a refused log-in, no such keyspace, tables that are missing. */
export class CassandraSetupError extends Error {
  override readonly name = 'CassandraSetupError'
}

/**
 * A client that is not connected yet. Every statement of ISM's is idempotent: rows are never changed, and what is
 * written or deleted has a time of its own. So the driver's default policy may try the next node whatever went wrong.
 */
export function createClient(
  config: CassandraConfig,
  { keyspace, datacenter }: { keyspace?: string; datacenter?: string },
): cassandra.Client {
  const consistency = types.consistencies[CONSISTENCY[config.consistency]]
  return new Client({
    contactPoints: config.contactPoints,
    ...(datacenter === undefined ? {} : { localDataCenter: datacenter }),
    ...(keyspace === undefined ? {} : { keyspace }),
    ...(config.credentials && {
      credentials: { username: config.credentials.user, password: config.credentials.password },
    }),
    ...(config.tls.mode === 'off' ? {} : { sslOptions: sslOptions(config) }),
    applicationName: 'ism',
    monitorReporting: { enabled: false },
    profiles: [
      new ExecutionProfile('default', { consistency }),
      new ExecutionProfile('write', { consistency, readTimeout: WRITE_TIMEOUT_MS }),
    ],
    policies: {
      loadBalancing: datacenter === undefined ? new RoundRobinPolicy() : nearest(datacenter),
      speculativeExecution: new SpeculativeReads(SPECULATIVE_READ_MS, 1),
      reconnection: new policies.reconnection.ConstantReconnectionPolicy(RECONNECT_MS),
      // Nothing is written at a node's own time: what has no time in its statement gets the server's.
      timestampGeneration: null as unknown as cassandra.policies.timestampGeneration.TimestampGenerator,
    },
    pooling: { heartBeatInterval: HEARTBEAT_MS },
    protocolOptions: { maxSchemaAgreementWaitSeconds: AGREEMENT_SECONDS },
    queryOptions: { prepare: true, isIdempotent: true },
    socketOptions: { connectTimeout: CONNECT_TIMEOUT_MS, readTimeout: READ_TIMEOUT_MS },
  })
}

const CONSISTENCY = {
  ONE: 'one',
  LOCAL_ONE: 'localOne',
  QUORUM: 'quorum',
  LOCAL_QUORUM: 'localQuorum',
  ALL: 'all',
} as const

const { DCAwareRoundRobinPolicy, RoundRobinPolicy, TokenAwarePolicy } = policies.loadBalancing

const nearest = (datacenter: string) => new TokenAwarePolicy(new DCAwareRoundRobinPolicy(datacenter))

class SpeculativeReads extends policies.speculativeExecution.ConstantSpeculativeExecutionPolicy {
  override newPlan(keyspace: string, query: string | object[]) {
    const isRead = typeof query === 'string' && query.startsWith('select')
    return isRead ? super.newPlan(keyspace, query) : { nextExecution: () => -1 }
  }
}

function sslOptions({ tls }: CassandraConfig) {
  return {
    rejectUnauthorized: tls.mode === 'verify',
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert, key: tls.key }),
  }
}

type ControlConnection = {
  connection: unknown
  _borrowAConnection(hosts: unknown): unknown
  _refreshControlConnection(hosts: unknown): Promise<void>
}

/**
 * cassandra-driver 4.10.0: where no node is left, it begins anew with the contact points, as at its start. That puts new
 * objects in the place of its nodes while others go on using the old ones, whose pools connect again too, for ever; and it
 * listens twice to the one connection that it has, so that twice as many begin to reconnect when that one breaks, and one
 * resets what another uses, which is an unhandled rejection. The nodes' own pools reconnect: waiting for one of them is
 * enough, and where the nodes have moved, `Cassandra` makes a new client.
 */
function reconnectOnce(): void {
  const { prototype } = createRequire(import.meta.url)('cassandra-driver/lib/control-connection') as {
    prototype: ControlConnection
  }
  prototype._refreshControlConnection = async function (this: ControlConnection, hosts: unknown) {
    this.connection = this._borrowAConnection(hosts)
  }
}

/**
 * A connection to the cluster that is made at its first use and, where that failed, at a later one; and made anew where
 * nothing was answered for long.
 */
export class Cassandra {
  readonly #open: () => Promise<cassandra.Client>
  readonly #patienceMs: number
  #client: Promise<cassandra.Client> | undefined
  #closed = false
  #interruptions = 0
  /** The first failure since something was answered. */
  #failingSince: number | undefined

  /** @param open connects a client; whatever it rejects with, it may be asked again */
  constructor(open: () => Promise<cassandra.Client>, patienceMs = PATIENCE_MS) {
    this.#open = open
    this.#patienceMs = patienceMs
  }

  /** @throws what `open` rejected with */
  connect(): Promise<cassandra.Client> {
    if (this.#closed) return Promise.reject(new Error('The connection to Cassandra was closed.'))
    this.#client ??= this.#open().then(
      (client) => client.on('hostDown', () => this.#interruptions++),
      (error: unknown) => {
        setTimeout(() => {
          this.#client = undefined
        }, CONNECT_AGAIN_MS).unref()
        throw error
      },
    )
    return this.#client
  }

  /** How often a node went away, as one does that is killed and starts again. */
  get interruptions(): number {
    return this.#interruptions
  }

  /** @throws AppError SERVICE_UNAVAILABLE */
  async read(query: string, params: unknown[]): Promise<Row[]> {
    return await this.#answering((client) => readAll(client, query, params))
  }

  /** Several statements must be of one partition. @throws AppError SERVICE_UNAVAILABLE */
  async write(statements: Statement[]): Promise<void> {
    await this.#answering(async (client) => {
      const [one, ...more] = statements
      if (!one) return
      if (more.length === 0) await client.execute(one.query, one.params, { executionProfile: 'write' })
      else await client.batch(statements, { executionProfile: 'write', logged: false })
    })
  }

  /** Whether the keyspace has it. @throws AppError SERVICE_UNAVAILABLE */
  async hasTable(name: string): Promise<boolean> {
    const query = 'select table_name from system_schema.tables where keyspace_name = ? and table_name = ?'
    const find = async (client: cassandra.Client) => await client.execute(query, [client.keyspace, name])
    return (await this.#answering(find)).rows.length > 0
  }

  async close(): Promise<void> {
    this.#closed = true
    const gone = this.#client?.then((client) => client.shutdown()).catch(() => {})
    // It may be waiting for nodes that do not answer; nothing of it is used any more.
    const patience = new AbortController()
    await Promise.race([gone, delay(CLOSE_MS, undefined, { signal: patience.signal }).catch(() => {})])
    patience.abort()
  }

  async #answering<T>(work: (client: cassandra.Client) => Promise<T>): Promise<T> {
    let client: cassandra.Client | undefined
    try {
      client = await this.connect()
      const answer = await work(client)
      this.#failingSince = undefined
      return answer
    } catch (error) {
      this.#failingSince ??= performance.now()
      if (client && performance.now() - this.#failingSince > this.#patienceMs) await this.#giveUp(client)
      throw unavailable('Older messages are not available right now.', new Error(reasonOf(error), { cause: error }))
    }
  }

  /** Its nodes may have other addresses now than those that it knows. */
  async #giveUp(client: cassandra.Client): Promise<void> {
    if ((await this.#client?.catch(() => undefined)) !== client) return
    this.#client = undefined
    this.#failingSince = undefined
    this.#interruptions++
    // It ends by itself; what it still waits for is as unavailable as the rest.
    client.shutdown().catch(() => {})
  }
}

/**
 * A server may end a page early, even an empty one, as ScyllaDB does at 1 MB; only its state says whether that was all
 * (CQL protocol v4, section 8). The driver's own iterator takes an empty page for the end.
 */
async function readAll(client: cassandra.Client, query: string, params: unknown[]): Promise<Row[]> {
  let { rows, pageState } = await client.execute(query, params)
  while (pageState) {
    const next = await client.execute(query, params, { pageState })
    rows = [...rows, ...next.rows]
    pageState = next.pageState
  }
  return rows
}

/** One line; of several nodes that failed, each with its own reason. */
export function reasonOf(error: unknown): string {
  if (error instanceof errors.NoHostAvailableError) {
    const reasons = Object.entries(error.innerErrors ?? {}).map(([host, inner]) => `${host}: ${reasonOf(inner)}`)
    if (reasons.length > 0) return reasons.join('; ')
  }
  return error instanceof Error ? error.message.split('\n', 1).join() || error.name : String(error)
}
