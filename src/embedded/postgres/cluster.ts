/** A PostgreSQL of ISM's own: made where there is none, started, watched over, started again after a crash, stopped. */

import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile, realpath, rename, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort, isTaken, LOOPBACK } from '../free-port.ts'
import { readIfThere, replaceFile } from '../private-file.ts'
import { type Binaries, findBinaries } from './binaries.ts'
import { clusterDirectoryIn, clusterMajor, initialise, SUPERUSER } from './initialise.ts'
import { userToRunAs } from './run-as.ts'
import { clearLeftovers, killLeftovers, type Server, type ServerOptions, startServer, stopServer } from './server.ts'
import { startWatchdog, type Watchdog } from './watchdog.ts'

export type ClusterOptions = {
  /** Takes `cluster/`, `postgres.log` and `postgres-password`; made where it is missing. */
  directory: string
  progress: (line: string) => void
  /** Only a database that nobody will miss may do without fsync. */
  durable?: boolean
  /** The watchdog removes the directory, should this process be killed. */
  temporary?: boolean
  maxConnections?: number
  /** The PATH to search where the platform has no package. */
  searchPath?: string | undefined
  source?: Binaries['source']
}

export type Connection = { host: string; port: number; user: string; password: string }

export type Cluster = {
  /** The same for as long as this process lives, through every crash of PostgreSQL. */
  connection: Connection
  version: string
  /** The postmaster's; `undefined` while it is being started again. */
  pid(): number | undefined
  stop(): Promise<void>
}

const PORT_ATTEMPTS = 8
const LOG_BYTES_KEPT = 8 * 1024 * 1024
const LOG_CHECK_MILLISECONDS = 60_000
const BACK_OFF_MILLISECONDS = { first: 100, longest: 5_000, forgottenAfter: 60_000 }

export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  if (process.platform === 'win32')
    throw new Error('Embedded mode runs on Linux and macOS; on Windows use WSL, or a configuration of your own.')
  await mkdir(options.directory, { recursive: true, mode: 0o700 })
  const directory = await realpath(options.directory)
  const clusterDirectory = clusterDirectoryIn(directory)
  const user = await userToRunAs(clusterDirectory)
  const requiredMajor = await clusterMajor(directory)
  const binaries = await findBinaries({
    user,
    cacheDirectory: directory,
    searchPath: options.searchPath,
    requiredMajor,
    ...(options.source === undefined ? {} : { source: options.source }),
  })
  const password = await passwordIn(directory)
  const durable = options.durable ?? true
  if (requiredMajor === undefined) {
    const elapsed = stopwatch()
    options.progress(`Making the database cluster in ${clusterDirectory} (PostgreSQL ${binaries.version})`)
    await initialise({ directory, binaries, user, password, durable })
    options.progress(`Made the database cluster in ${elapsed()}`)
  }
  const supervisor = new Supervisor(
    {
      clusterDirectory,
      mark: markOf(clusterDirectory),
      binaries,
      user,
      logFile: join(directory, 'postgres.log'),
      port: 0,
      durable,
      maxConnections: options.maxConnections ?? 200,
    },
    startWatchdog(options.temporary ? directory : undefined),
    options.progress,
  )
  const port = await supervisor.start()
  return {
    connection: { host: LOOPBACK, port, user: SUPERUSER, password },
    version: binaries.version,
    pid: () => supervisor.pid(),
    stop: () => supervisor.stop(),
  }
}

class Supervisor {
  readonly #options: ServerOptions
  readonly #watchdog: Watchdog
  readonly #progress: (line: string) => void
  readonly #stopping = new AbortController()
  readonly #logCheck: NodeJS.Timeout
  #server: Server | undefined
  #revival: Promise<void> | undefined
  #stopped: Promise<void> | undefined

  constructor(options: ServerOptions, watchdog: Watchdog, progress: (line: string) => void) {
    this.#options = options
    this.#watchdog = watchdog
    this.#progress = progress
    this.#logCheck = setInterval(() => void cutLog(options.logFile), LOG_CHECK_MILLISECONDS).unref()
  }

  pid(): number | undefined {
    return this.#server?.pid
  }

  async start(): Promise<number> {
    const elapsed = stopwatch()
    this.#progress(`Starting PostgreSQL ${this.#options.binaries.version}`)
    try {
      await keepLastLog(this.#options.logFile)
      await clearLeftovers(this.#options.clusterDirectory, this.#options.mark)
      await this.#startOnFreePort()
    } catch (error) {
      await this.stop()
      throw error
    }
    this.#progress(`PostgreSQL listens on 127.0.0.1:${this.#options.port} after ${elapsed()}`)
    return this.#options.port
  }

  /** Between choosing a port and listening on it anybody may take it: then the next one. */
  async #startOnFreePort(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      this.#options.port = await freePort()
      try {
        return await this.#run()
      } catch (error) {
        if (attempt < PORT_ATTEMPTS && (await isTaken(this.#options.port))) continue
        throw new Error(`${(error as Error).message} Its log, ${this.#options.logFile}, ends: ${await this.#logEnd()}`)
      }
    }
  }

  async #run(): Promise<void> {
    const server = await startServer(this.#options)
    this.#watchdog.guard(server.pid)
    this.#server = server
    const gone = server.exited.then((reason) => {
      this.#server = undefined
      this.#watchdog.guard(undefined)
      return reason
    })
    const slow = setInterval(() => this.#progress('PostgreSQL is recovering from a crash'), 5_000)
    try {
      await server.ready
    } finally {
      clearInterval(slow)
    }
    const since = Date.now()
    void gone.then((reason) => {
      if (!this.#stopping.signal.aborted) this.#revival = this.#revive(reason, Date.now() - since)
    })
  }

  /** Tries for as long as ISM lives: a full disk or a machine short of memory may be well again later. */
  async #revive(reason: string, lived: number): Promise<void> {
    const { signal } = this.#stopping
    const { first, longest, forgottenAfter } = BACK_OFF_MILLISECONDS
    let wait = lived > forgottenAfter ? 0 : first
    this.#progress(`PostgreSQL ended (${reason}); starting it again on port ${this.#options.port}`)
    while (!signal.aborted) {
      const elapsed = stopwatch()
      await delay(wait, undefined, { signal }).catch(() => undefined)
      wait = Math.min(longest, Math.max(first, wait * 2))
      if (signal.aborted) break
      try {
        await killLeftovers(this.#options.mark)
        await clearLeftovers(this.#options.clusterDirectory, this.#options.mark)
        await this.#run()
        this.#progress(`PostgreSQL listens on 127.0.0.1:${this.#options.port} again after ${elapsed()}`)
        return
      } catch (error) {
        this.#progress(`PostgreSQL does not start: ${(error as Error).message} Its log ends: ${await this.#logEnd()}`)
      }
    }
    // What the one that ended has left may still be there.
    await killLeftovers(this.#options.mark)
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stopOnce()
    return this.#stopped
  }

  async #stopOnce(): Promise<void> {
    this.#stopping.abort()
    clearInterval(this.#logCheck)
    if (this.#server) await stopServer(this.#server, this.#options.mark)
    // A revival that was under way may have started another one meanwhile.
    await this.#revival
    if (this.#server) await stopServer(this.#server, this.#options.mark)
    await this.#watchdog.end()
  }

  async #logEnd(): Promise<string> {
    const text = await readFile(this.#options.logFile, 'utf8').catch(() => '')
    return text.trim().split('\n').slice(-3).join(' | ')
  }
}

async function passwordIn(directory: string): Promise<string> {
  const file = join(directory, 'postgres-password')
  const known = (await readIfThere(file))?.trim()
  if (known) return known
  if ((await clusterMajor(directory)) !== undefined)
    throw new Error(`${file} is missing or empty: restore it, or remove ${directory} to begin anew.`)
  const password = randomBytes(24).toString('base64url')
  await replaceFile(file, `${password}\n`)
  return password
}

/** A copied cluster is another cluster: the name comes from where it lies. */
const markOf = (clusterDirectory: string): string =>
  `ism-${createHash('sha256').update(clusterDirectory).digest('hex').slice(0, 20)}`

/** At a start: the last run's log is kept beside the new one once it has grown. */
async function keepLastLog(file: string): Promise<void> {
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  )
  if (size > LOG_BYTES_KEPT) await rename(file, `${file}.1`)
}

/** While PostgreSQL holds the file open for appending, it can be emptied but not replaced. */
async function cutLog(file: string): Promise<void> {
  const found = await stat(file).catch(() => undefined)
  if (found && found.size > 8 * LOG_BYTES_KEPT) await truncate(file, 0).catch(() => undefined)
}

function stopwatch(): () => string {
  const started = performance.now()
  return () => `${((performance.now() - started) / 1000).toFixed(2)} s`
}
