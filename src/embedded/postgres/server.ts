/** One run of the `postgres` program, from its start until every process of it is gone. */

import { type ChildProcess, spawn } from 'node:child_process'
import { open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { postgresProcesses, processStart, signal } from '../processes.ts'
import type { Binaries } from './binaries.ts'
import { withReachable } from './reachable-directory.ts'
import type { User } from './run.ts'
import { CLEAN_ENVIRONMENT } from './run.ts'

export type ServerOptions = {
  clusterDirectory: string
  /** Stands in the command line of each of this cluster's processes and in no other's. */
  mark: string
  binaries: Binaries
  user: User | undefined
  logFile: string
  port: number
  durable: boolean
  maxConnections: number
}

export type Server = {
  pid: number
  /** Resolves when the process is gone, with what it ended by. */
  exited: Promise<string>
  /** Resolves when it accepts connections; rejects where it ends before that. */
  ready: Promise<void>
}

const POLL_MILLISECONDS = 10

export async function startServer(options: ServerOptions): Promise<Server> {
  const log = await open(options.logFile, 'a', 0o600)
  try {
    return await withReachable(options.clusterDirectory, options.user, async ({ name, inherit }) => {
      const child = spawn(options.binaries.postgres, ['-D', name, ...settings(options)], {
        cwd: '/',
        // Its own session: Ctrl-C at the terminal is ISM's to handle, which stops PostgreSQL last.
        detached: true,
        ...options.user,
        env: CLEAN_ENVIRONMENT,
        stdio: ['ignore', log.fd, log.fd, ...inherit],
      })
      const exited = exitOf(child)
      if (child.pid === undefined) throw new Error(`PostgreSQL cannot be started: ${await exited}.`)
      return { pid: child.pid, exited, ready: untilReady(options.clusterDirectory, child.pid, exited) }
    })
  } finally {
    await log.close()
  }
}

function settings(options: ServerOptions): string[] {
  const values: Record<string, string | number> = {
    cluster_name: options.mark,
    listen_addresses: '127.0.0.1',
    port: options.port,
    // A socket's path is limited to 104 bytes and would need a directory: TCP alone.
    unix_socket_directories: '',
    max_connections: options.maxConnections,
    shared_buffers: '128MB',
    max_wal_size: '1GB',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_line_prefix: '%m [%p] ',
    ...(options.durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
  }
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

function exitOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, name) => resolve(name ?? `exit code ${code}`))
  })
}

/** postmaster.pid's eighth line is how PostgreSQL tells pg_ctl that it accepts connections. */
async function untilReady(clusterDirectory: string, pid: number, exited: Promise<string>): Promise<void> {
  let end: string | undefined
  exited.then((reason) => {
    end = reason
  })
  while (end === undefined) {
    const lines = await postmasterFile(clusterDirectory)
    if (lines[0] === String(pid) && lines[7]?.startsWith('ready')) return
    await delay(POLL_MILLISECONDS)
  }
  throw new Error(`PostgreSQL ended before it was ready (${end}).`)
}

/** Fast shutdown, and harder where that takes too long: what was committed survives each of the three. */
export async function stopServer(server: Server, mark: string): Promise<void> {
  const bounds: [NodeJS.Signals, number][] = [
    ['SIGINT', 5_000],
    ['SIGQUIT', 1_500],
    ['SIGKILL', 5_000],
  ]
  let gone = false
  const exit = server.exited.then(() => {
    gone = true
  })
  for (const [name, milliseconds] of bounds) {
    signal(server.pid, name)
    const patience = new AbortController()
    await Promise.race([exit, delay(milliseconds, undefined, { signal: patience.signal }).catch(() => undefined)])
    patience.abort()
    if (gone && name === 'SIGINT') return
    if (gone) break
  }
  await killLeftovers(mark)
}

/**
 * Ends what an earlier run left of this cluster and frees its lock file. A postmaster that is still there is given
 * time: its watchdog is about to stop it. The number in postmaster.pid may be another program's by now, so only
 * processes that bear the mark are touched.
 */
export async function clearLeftovers(clusterDirectory: string, mark: string): Promise<void> {
  const [pid] = await postmasterFile(clusterDirectory)
  if (pid === undefined) return
  const postmaster = Number.parseInt(pid, 10)
  const marked = await postgresProcesses(mark)
  if (marked.includes(postmaster)) {
    signal(postmaster, 'SIGINT')
    if (!(await endsWithin(postmaster, 4_000))) {
      signal(postmaster, 'SIGQUIT')
      await endsWithin(postmaster, 2_000)
    }
  }
  await killLeftovers(mark)
  await rm(join(clusterDirectory, 'postmaster.pid'), { force: true })
}

/** Backends end by themselves when their postmaster is gone, but one in the middle of a query only after it. */
export async function killLeftovers(mark: string): Promise<void> {
  const deadline = Date.now() + 5_000
  for (;;) {
    const left: number[] = []
    for (const pid of await postgresProcesses(mark)) if (await processStart(pid)) left.push(pid)
    if (left.length === 0) return
    if (Date.now() > deadline) throw new Error(`PostgreSQL's processes ${left.join(', ')} do not end.`)
    for (const pid of left) signal(pid, 'SIGKILL')
    await delay(POLL_MILLISECONDS)
  }
}

async function endsWithin(pid: number, milliseconds: number): Promise<boolean> {
  const deadline = Date.now() + milliseconds
  while (Date.now() < deadline) {
    if ((await processStart(pid)) === undefined) return true
    await delay(POLL_MILLISECONDS)
  }
  return false
}

async function postmasterFile(clusterDirectory: string): Promise<string[]> {
  const text = await readFile(join(clusterDirectory, 'postmaster.pid'), 'utf8').catch(() => '')
  return text === '' ? [] : text.split('\n')
}
