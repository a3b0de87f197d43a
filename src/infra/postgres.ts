/** PostgreSQL: the pool, one way to run a statement, and what its errors mean to a caller. */
import pg from 'pg'
import type { PostgresConfig } from '../config/config.ts'
import { AppError, unavailable } from '../shared/app-error.ts'

/** Whatever runs a statement: the pool, or one connection inside a transaction. */
export interface Queryable {
  /**
   * `name` says which statement it is: it is prepared under that name once a connection, and counted by it.
   * `rowMode`: a row is the list of its columns, where very many are read; an object of 11 takes pg three times as long.
   */
  query<Row extends object>(name: string, text: string, values?: unknown[], rowMode?: 'array'): Promise<Row[]>
}

export interface Database extends Queryable {
  /** Gives `work` a connection of its own; an error closes the connection instead of returning it to the pool. */
  withConnection<T>(work: (connection: Connection) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export interface Connection extends Queryable {
  /** Several statements without parameters in one round trip. */
  execute(text: string): Promise<void>
}

const CONNECT_TIMEOUT_MS = 5_000
const STATEMENT_TIMEOUT_MS = 10_000
/** A server that does not answer at all (frozen, or gone without a word) is given up after this. */
const QUERY_TIMEOUT_MS = 15_000

/** SQLSTATE, as the server has it for a wrong one. */
const INVALID_PASSWORD = '28P01'

const PARSERS = new Map<number, (text: string) => unknown>([
  // ISM's counters stay far below 2^53.
  [pg.types.builtins.INT8, Number],
  // Without a zone, as for `wireTime`: by way of a Date, the times of a thousand rooms cost several times as much.
  [pg.types.builtins.TIMESTAMP, (text) => text],
])

const types = {
  getTypeParser: (oid: number, format?: string) =>
    (format === 'binary' ? undefined : PARSERS.get(oid)) ?? pg.types.getTypeParser(oid, format as 'text'),
} as pg.CustomTypesConfig

export function clientConfig(config: PostgresConfig): pg.ClientConfig {
  return {
    host: config.host,
    port: config.port,
    user: config.user,
    password: config.password || noPassword,
    database: config.database,
    ssl:
      config.ssl === 'off'
        ? false
        : { rejectUnauthorized: config.ssl === 'verify', ...(config.sslCa ? { ca: config.sslCa } : {}) },
    application_name: 'ism',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    types,
  }
}

/** Called only where the server asks for one; given an empty one, pg would blame the protocol. */
function noPassword(): never {
  const error = new Error('the server asks for a password, and user_db_config.db_password is empty')
  throw Object.assign(error, { code: INVALID_PASSWORD })
}

export function openDatabase(
  config: PostgresConfig,
  observe: { queryStarted(name: string): void; connectionFailed(error: Error): void },
): Database {
  const pool = new pg.Pool({
    ...clientConfig(config),
    max: config.poolSize,
    idleTimeoutMillis: 60_000,
    // A pooler refuses parameters of the session, and has not prepared what another connection has.
    ...(config.transactionPooler ? {} : { statement_timeout: STATEMENT_TIMEOUT_MS }),
    query_timeout: QUERY_TIMEOUT_MS,
  })
  // One that ends while the pool does has not failed, whatever the server still says to it.
  pool.on('error', (error) => {
    if (!pool.ending) observe.connectionFailed(error)
  })
  // One that is ended in the same breath as it was let in says so before whoever asked for it can listen; without a
  // listener that would end the process. The first statement on it is refused.
  pool.on('connect', (client) => client.on('error', () => {}))

  const run = async <Row extends object>(
    on: pg.Pool | pg.PoolClient,
    name: string,
    text: string,
    values: unknown[],
    rowMode: 'array' | undefined,
  ): Promise<Row[]> => {
    observe.queryStarted(name)
    try {
      const query = { text, values, ...(config.transactionPooler ? {} : { name }), ...(rowMode ? { rowMode } : {}) }
      return (await on.query<Row>(query)).rows
    } catch (error) {
      throw translate(error)
    }
  }

  return {
    query: (name, text, values = [], rowMode) => run(pool, name, text, values, rowMode),
    async withConnection(work) {
      const client = await pool.connect().catch((error: unknown) => {
        throw translate(error)
      })
      let broken: Error | undefined
      // A connection that dies while checked out reports it here; the statement in flight rejects by itself.
      const onError = (error: Error) => {
        broken = error
      }
      client.on('error', onError)
      try {
        return await work({
          query: (name, text, values = [], rowMode) => run(client, name, text, values, rowMode),
          async execute(text) {
            observe.queryStarted('execute')
            await client.query(text).catch((error: unknown) => {
              throw translate(error)
            })
          },
        })
      } catch (error) {
        broken = error instanceof AppError && error.code !== 'SERVICE_UNAVAILABLE' ? broken : asError(error)
        throw error
      } finally {
        client.off('error', onError)
        client.release(broken)
      }
    },
    close: () => pool.end(),
  }
}

/** @throws Error where the server cannot be reached or refuses the log-in */
export async function checkPostgres(config: PostgresConfig): Promise<string> {
  const client = new pg.Client(clientConfig(config))
  client.on('error', () => {})
  await client.connect()
  try {
    const { rows } = await client.query<{ version: string }>(`select current_setting('server_version') as version`)
    return `PostgreSQL ${rows[0]?.version}`
  } finally {
    await client.end()
  }
}

/** The SQLSTATE of a PostgreSQL error (PostgreSQL documentation, appendix A), or a system error's code. */
export function errorCode(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined
}

/**
 * Connection exceptions, resources, operator intervention, lock and statement timeouts, a read-only standby; and a
 * log-in that is refused for now: another password, no such database, one that takes no connections (as during a restore).
 */
const UNAVAILABLE_STATES = /^(08...|53...|57...|55P03|25P03|25006|58...|28...|3D000|55000)$/
const UNAVAILABLE_ERRNO = /^(E[A-Z]+|ERR_.*)$/
const UNAVAILABLE_MESSAGES = /timeout|terminated|Connection ended|not queryable|closed/i

function translate(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof AppError) return error
  const code = errorCode(error)
  const down = code
    ? UNAVAILABLE_STATES.test(code) || UNAVAILABLE_ERRNO.test(code)
    : UNAVAILABLE_MESSAGES.test(error.message) || error instanceof AggregateError
  return down ? unavailable('The database is not available.', error) : error
}

const asError = (error: unknown) => (error instanceof Error ? error : new Error(String(error)))
