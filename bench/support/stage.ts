/**
 * What ISM needs, on this machine and for one bench: a PostgreSQL with fsync in a temporary directory, an issuer, and
 * nodes of ISM as `ism serve` runs them.
 */
import { type ChildProcess, execFile } from 'node:child_process'
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import type { Config } from '../../src/config/config.ts'
import { openDataDirectory } from '../../src/embedded/data-directory.ts'
import { signToken } from '../../src/embedded/issuer.ts'
import { startEmbedded } from '../../src/embedded/start.ts'
import { endProcess, startProcess } from './child-process.ts'

export type Stage = {
  /** PostgreSQL's postmaster. */
  postgresPid: number
  /** A configuration for a database of that name, which is made and migrated where it is not there. */
  configure(database: string, sections?: string): Promise<string>
  startIsm(options?: IsmOptions): Promise<Ism>
  connect(database?: string): Promise<pg.Client>
  /** Tokens for people whose rows the caller makes. */
  tokensOf(people: readonly Person[]): Promise<string[]>
  stop(): Promise<void>
}

export type Person = { id: string; displayName: string }

export type IsmOptions = {
  database?: string
  /** More of its configuration, in TOML. */
  sections?: string
  /** For its process, such as `--cpu-prof`. */
  nodeOptions?: readonly string[]
  /** Connections that it is to hold, beside its own. */
  connections?: number
}

export type Ism = {
  port: number
  pid: number
  /** Bears `METRICS_TOKEN`. */
  database: string
  stop(): Promise<void>
  /** Without warning, as a machine that fails. */
  kill(): Promise<void>
}

const BINARY = fileURLToPath(new URL('../../bin/ism.js', import.meta.url))
const DEFAULT_DATABASE = 'ism'
export const METRICS_TOKEN = 'bench'
/** For what a process opens beside its connections. */
const SPARE_FILES = 500
/** Signed at once: the key's work runs in as many threads. */
const SIGNED_AT_ONCE = 500

export async function startStage(): Promise<Stage> {
  const directory = await mkdtemp(join(tmpdir(), 'ism-bench-'))
  const embedded = await startEmbedded({
    dataDirectory: directory,
    temporary: true,
    port: 0,
    env: {},
    progress: () => {},
  })
  const { postgres } = embedded.config
  const nodes = new Set<Ism>()
  let configured = 0

  const connect = async (database = DEFAULT_DATABASE) => {
    const { host, port, user, password } = postgres
    const client = new pg.Client({ host, port, user, password, database })
    // Of a failed bench, connections are still open when PostgreSQL ends.
    client.on('error', () => undefined)
    await client.connect()
    return client
  }

  const write = async (database: string, sections: string) => {
    await makeDatabase(connect, database)
    const file = join(directory, `bench-${++configured}.config.toml`)
    await writeFile(file, tomlOf(embedded.config, database) + sections)
    return file
  }

  return {
    postgresPid: Number((await readFile(join(directory, 'cluster', 'postmaster.pid'), 'utf8')).split('\n')[0]),
    connect,
    async configure(database, sections = '') {
      const file = await write(database, sections)
      await promisify(execFile)(process.execPath, [BINARY, 'migrate', '--config', file])
      return file
    },
    async startIsm({ database = DEFAULT_DATABASE, sections = '', nodeOptions = [], connections } = {}) {
      const file = await write(database, sections)
      const { child, port } = await spawnServe(file, ['--migrate'], nodeOptions, connections)
      const end = async (signal: NodeJS.Signals) => {
        nodes.delete(ism)
        await endProcess(child, signal)
      }
      const ism: Ism = {
        port,
        pid: child.pid ?? 0,
        database,
        stop: () => end('SIGTERM'),
        kill: () => end('SIGKILL'),
      }
      nodes.add(ism)
      return ism
    },
    async tokensOf(people) {
      const data = await openDataDirectory(directory)
      const tokens: string[] = []
      for (let n = 0; n < people.length; n += SIGNED_AT_ONCE) {
        const some = people.slice(n, n + SIGNED_AT_ONCE)
        tokens.push(
          ...(await Promise.all(
            some.map((person) => signToken(data, { name: person.displayName, ...person }, 86_400)),
          )),
        )
      }
      return tokens
    },
    async stop() {
      for (const ism of nodes) await ism.stop()
      await embedded.stop()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** A stage for as long as `work` takes, also where it fails. */
export async function onStage<Result>(work: (stage: Stage) => Promise<Result>): Promise<Result> {
  const stage = await startStage()
  try {
    return await work(stage)
  } finally {
    await stage.stop()
  }
}

/** `ism serve` as a user starts it; its log goes into a file beside the configuration, for a pipe would need a reader. */
export async function spawnServe(
  configFile: string,
  parameters: readonly string[],
  nodeOptions: readonly string[] = [],
  connections?: number,
): Promise<{ child: ChildProcess; port: number }> {
  const logFile = `${configFile}.log`
  const log = await open(logFile, 'w')
  const child = startProcess(
    process.execPath,
    [...nodeOptions, BINARY, 'serve', '--config', configFile, ...parameters],
    {
      stdio: ['ignore', log.fd, 'inherit'],
      cwd: dirname(configFile),
      ...(connections === undefined ? {} : { openFiles: connections + SPARE_FILES }),
    },
  )
  await log.close()
  return { child, port: await portOf(child, logFile) }
}

/** The port of the line that says where ISM listens. */
async function portOf(child: ChildProcess, logFile: string): Promise<number> {
  for (;;) {
    const line = /^.*"msg":"listening".*$/m.exec(await readFile(logFile, 'utf8'))?.[0]
    if (line) return JSON.parse(line).port
    if (child.exitCode !== null) throw new Error(`ism ended with ${child.exitCode}`)
    await delay(2)
  }
}

async function makeDatabase(connect: Stage['connect'], database: string): Promise<void> {
  const client = await connect('postgres')
  try {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [database])
    if (rowCount === 0) await client.query(`create database ${database}`)
  } finally {
    await client.end()
  }
}

function tomlOf({ postgres, tokenIssuer, objects }: Config, database: string): string {
  return `ism_url = "127.0.0.1"
ism_port = 0
[user_db_config]
db_host = "${postgres.host}"
db_port = ${postgres.port}
db_user = "${postgres.user}"
db_password = "${postgres.password}"
db_name = "${database}"
[token_issuer]
issuer = "${tokenIssuer.issuer}"
discovery_url = "${tokenIssuer.discoveryUrl}"
[objects]
directory = "${objects.provider === 'directory' ? objects.directory : ''}"
[metrics]
token = "${METRICS_TOKEN}"
[limits]
sends_per_second = 0
rooms_per_hour = 0
`
}
