/** Drives an owner process from a test, and asks the system what is left of it. */

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import { afterAll, beforeAll, onTestFinished } from 'vitest'
import { startCluster } from '../../src/embedded/postgres/cluster.ts'
import { postgresProcesses, processStart } from '../../src/embedded/processes.ts'
import type { OwnerReport, OwnerRequest } from './owner-process.ts'

export const OWNER_PROGRAM = fileURLToPath(new URL('owner-process.ts', import.meta.url))

export type Owner = {
  child: ChildProcess
  pid: number
  report: OwnerReport
  kill(name: NodeJS.Signals): Promise<void>
}

type Surroundings = { env?: Record<string, string>; uid?: number; gid?: number }

/** Resolves with its first report; killed at the end of the test where it still runs. */
export async function startOwner(request: OwnerRequest, { env = {}, ...user }: Surroundings = {}): Promise<Owner> {
  const child = spawn(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), OWNER_PROGRAM, JSON.stringify(request)],
    {
      env,
      ...user,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString()
  })
  const exit = once(child, 'exit')
  const kill = async (name: NodeJS.Signals) => {
    child.kill(name)
    await exit
  }
  // Gently, so that PostgreSQL is gone before its directory is.
  onTestFinished(async () => {
    const impatience = setTimeout(() => child.kill('SIGKILL'), 8_000)
    await kill('SIGTERM')
    clearTimeout(impatience)
  })
  const line = await Promise.race([once(createInterface(child.stdout), 'line'), once(child, 'close')])
  if (typeof line[0] !== 'string') throw new Error(`The owner ended: ${errors}`)
  return { child, pid: child.pid ?? 0, report: JSON.parse(line[0]) as OwnerReport, kill }
}

/** A cluster's coordinates, where the owner did not fail. */
export function connectionOf({ report }: Owner): { port: number; password: string } {
  if ('error' in report) throw new Error(report.error)
  return report
}

/** A directory that is gone after the test; its name has a space and letters beyond ASCII. */
export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'ism embedded ü-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 }))
  return directory
}

/**
 * Such a directory with a cluster in it, copied from one that the test file made once: initdb is most of what a start
 * costs. To be called where the file's own hooks are declared.
 */
export function preparedDirectories(): () => Promise<string> {
  let template = ''
  beforeAll(async () => {
    // Durable: copying files that the disk does not have yet takes ten times as long.
    template = await mkdtemp(join(tmpdir(), 'ism-template-'))
    await (await startCluster({ directory: template, progress: () => undefined })).stop()
  })
  afterAll(() => rm(template, { recursive: true, force: true }))
  return async () => {
    const directory = await temporaryDirectory()
    // Owners and modes are kept, which fs.cp does not do.
    await promisify(execFile)('cp', ['-a', `${template}/.`, directory])
    return directory
  }
}

export async function query<Row extends object>(
  { port, password }: { port: number; password: string },
  text: string,
): Promise<Row[]> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'ism', password, database: 'postgres' })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query<Row>(text)).rows
  } finally {
    await client.end()
  }
}

export async function markOf(connection: { port: number; password: string }): Promise<string> {
  const rows = await query<{ cluster_name: string }>(connection, 'SHOW cluster_name')
  return rows[0]?.cluster_name ?? ''
}

/** The living processes of a cluster: what a process that nobody reaps has left does not count. */
export async function livingProcesses(mark: string): Promise<number[]> {
  const living: number[] = []
  for (const pid of await postgresProcesses(mark)) if (await processStart(pid)) living.push(pid)
  return living
}

export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false>,
  milliseconds = 20_000,
): Promise<T> {
  const deadline = Date.now() + milliseconds
  for (;;) {
    const found = await probe()
    if (found !== undefined && found !== false) return found
    if (Date.now() > deadline) throw new Error(`Not within ${milliseconds} ms: ${what}`)
    await delay(20)
  }
}
