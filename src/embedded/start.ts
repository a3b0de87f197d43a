/** Embedded mode: starts what ISM needs on this machine and describes it in an ordinary configuration. */

import { isIP } from 'node:net'
import pg from 'pg'
import type { Config } from '../config/config.ts'
import { requireConfig } from '../config/judge.ts'
import type { Layer } from '../config/layers.ts'
import { ConfigurationError, formatProblem, type Problem } from '../config/problem.ts'
import { judgeWithEnvironment } from '../config/read.ts'
import { type DataDirectory, lockDataDirectory, openDataDirectory, readable } from './data-directory.ts'
import { developmentToken } from './development-token.ts'
import { freePort, LOOPBACK } from './free-port.ts'
import { DEVELOPMENT_AUDIENCE, DEVELOPMENT_ISSUER, startIssuer } from './issuer.ts'
import { type Connection, startCluster } from './postgres/cluster.ts'

export type EmbeddedOptions = {
  dataDirectory: string
  /** A loopback address. */
  host?: string | undefined
  /** Where the command line names one, over the environment's; 0 takes a free one. */
  port?: number | undefined
  env: Readonly<Record<string, string | undefined>>
  /** Relative paths in the environment's values are relative to it. */
  cwd?: string | undefined
  /** Nobody needs the data directory once this process is gone, whatever way it ends. */
  temporary?: boolean
  /** Gets a line for each step that takes time, and later for each crash of PostgreSQL. */
  progress: (line: string) => void
}

export type EmbeddedPerson = { name: string; id: string; token: string }

export type Embedded = {
  config: Config
  dataDirectory: string
  people: EmbeddedPerson[]
  /** Ends every child process and gives the data directory free; may be called twice. */
  stop(): Promise<void>
}

const DATABASE = 'ism'
const PEOPLE = ['alice', 'bob', 'carol']
const TOKEN_SECONDS = 24 * 60 * 60
const METRICS_TOKEN = 'development'

/** Throws an Error in one line; what it had started by then is stopped again. */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const host = options.host ?? LOOPBACK
  if (!isLoopback(host)) throw new Error(`Embedded mode listens on loopback only, and ${host} is no loopback address.`)
  const directory = await openDataDirectory(options.dataDirectory)
  const started: (() => Promise<void>)[] = []
  let stopped: Promise<void> | undefined
  const stop = () => {
    stopped ??= stopAll(started)
    return stopped
  }
  try {
    const lock = await lockDataDirectory(directory)
    started.push(() => lock.release())
    const startingIssuer = startIssuer(directory).catch(readable(directory))
    started.push(() =>
      startingIssuer.then(
        (issuer) => issuer.close(),
        () => undefined,
      ),
    )
    const cluster = await startCluster({
      directory: directory.path,
      progress: options.progress,
      searchPath: options.env['PATH'],
      temporary: options.temporary ?? false,
    })
    started.push(() => cluster.stop())
    const issuer = await startingIssuer
    await ensureDatabase(cluster.connection)
    const config = await configuration(options, host, directory, cluster.connection, issuer.discoveryUrl)
    return { config, dataDirectory: directory.path, people: await readyMadePeople(directory), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** In the opposite order; what cannot be stopped does not keep the rest running. */
async function stopAll(started: (() => Promise<void>)[]): Promise<void> {
  const problems: unknown[] = []
  for (const stop of started.toReversed()) await stop().catch((error: unknown) => problems.push(error))
  if (problems.length > 0) throw problems[0]
}

async function configuration(
  options: EmbeddedOptions,
  host: string,
  directory: DataDirectory,
  postgres: Connection,
  discoveryUrl: string,
): Promise<Config> {
  const source = 'embedded mode'
  const own: Layer = {
    source,
    // What embedded mode runs itself: development tokens must never open somebody's real database.
    binding: true,
    tables: {
      ism_url: host,
      user_db_config: {
        db_host: postgres.host,
        db_port: postgres.port,
        db_user: postgres.user,
        db_password: postgres.password,
        db_name: DATABASE,
        ssl: 'off',
      },
      token_issuer: { issuer: DEVELOPMENT_ISSUER, audience: DEVELOPMENT_AUDIENCE, discovery_url: discoveryUrl },
    },
  }
  const defaults: Layer = {
    source,
    tables: { objects: { directory: directory.objects }, metrics: { token: METRICS_TOKEN } },
  }
  const judged = judgeWithEnvironment([own, defaults], { env: options.env, cwd: options.cwd ?? process.cwd() })
  const config = requireConfig(judged)
  requireOwnStores(config, source)
  for (const warning of judged.warnings) options.progress(`Warning: ${formatProblem(warning)}`)
  const port = (options.port ?? config.server.port) || (await freePort())
  const authority = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`
  return {
    ...config,
    server: { ...config.server, port },
    objects: { ...config.objects, publicUrl: config.objects.publicUrl ?? `http://${authority}/objects` },
  }
}

/** Pictures and messages too: what the embedded users do must not reach a real store. */
function requireOwnStores({ messages, objects }: Config, source: string): void {
  const refuse = (key: string): Problem => ({
    key,
    source: 'environment',
    problem: `cannot be used in ${source}`,
    expected: 'ism serve without --embedded',
  })
  const problems = [
    ...(messages.provider === 'postgres' ? [] : [refuse('message_db_config')]),
    ...(objects.provider === 'directory' ? [] : [refuse('object_db_config')]),
  ]
  if (problems.length > 0) throw new ConfigurationError(problems)
}

async function readyMadePeople(directory: DataDirectory): Promise<EmbeddedPerson[]> {
  const people: EmbeddedPerson[] = []
  for (const name of PEOPLE) {
    const { token, userId } = await developmentToken({
      dataDirectory: directory.path,
      name,
      expiresSeconds: TOKEN_SECONDS,
    })
    people.push({ name, id: userId, token })
  }
  return people
}

async function ensureDatabase(connection: Connection): Promise<void> {
  const client = new pg.Client({ ...connection, database: 'postgres' })
  // A connection lost while it is idle is found out by the next query.
  client.on('error', () => undefined)
  await client.connect()
  try {
    const found = await client.query('SELECT FROM pg_database WHERE datname = $1', [DATABASE])
    if (found.rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`)
  } finally {
    await client.end()
  }
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
