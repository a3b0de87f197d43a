/** The embedded PostgreSQL when processes are killed: what is left, what comes back, what is kept. */

import { spawnSync } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { startCluster } from '../../src/embedded/postgres/cluster.ts'
import { signal } from '../../src/embedded/processes.ts'
import {
  connectionOf,
  livingProcesses,
  markOf,
  OWNER_PROGRAM,
  preparedDirectories,
  query,
  startOwner,
  until,
} from './owner.ts'

const preparedDirectory = preparedDirectories()

test('kill -9 of ISM leaves no process, and the next start finds the data', async () => {
  const dataDirectory = await preparedDirectory()
  const owner = await startOwner({ kind: 'embedded', dataDirectory })
  const connection = connectionOf(owner)
  await query(connection, 'CREATE TABLE kept AS SELECT 42 AS answer')
  const mark = await markOf(connection)
  await owner.kill('SIGKILL')
  await until('no process is left', async () => (await livingProcesses(mark)).length === 0, 4_000)

  const next = connectionOf(await startOwner({ kind: 'embedded', dataDirectory }))
  expect(await query(next, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }])
})

test('a second ISM on the data directory is refused; a killed one is not in the way', async () => {
  const dataDirectory = await preparedDirectory()
  const first = await startOwner({ kind: 'embedded', dataDirectory })
  const mark = await markOf(connectionOf(first))
  const second = await startOwner({ kind: 'embedded', dataDirectory })
  expect(second.report).toEqual({ error: expect.stringContaining(`Process ${first.pid} already runs ISM on`) })
  expect(await query(connectionOf(first), 'SELECT 1 AS one')).toEqual([{ one: 1 }])

  // At once: PostgreSQL and its watchdog may still be there.
  await first.kill('SIGKILL')
  const third = await startOwner({ kind: 'embedded', dataDirectory })
  expect(await query(connectionOf(third), 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  await third.kill('SIGTERM')
  expect(await livingProcesses(mark)).toEqual([])
})

test('of several that start at once exactly one goes on', async () => {
  const dataDirectory = await preparedDirectory()
  const owners = await Promise.all([1, 2, 3].map(() => startOwner({ kind: 'embedded', dataDirectory })))
  expect(owners.filter(({ report }) => 'port' in report)).toHaveLength(1)
})

test('kill -9 of PostgreSQL brings it back on the same port with what was committed', async () => {
  const directory = await preparedDirectory()
  const lines: string[] = []
  const cluster = await startCluster({ directory, progress: (line) => lines.push(line) })
  onTestFinished(() => cluster.stop())
  const { connection } = cluster
  await query(connection, 'CREATE TABLE kept (answer integer)')
  for (const answer of [1, 2]) {
    await query(connection, `INSERT INTO kept VALUES (${answer})`)
    const killed = cluster.pid() ?? 0
    signal(killed, 'SIGKILL')
    await until('another one runs', async () => cluster.pid() !== undefined && cluster.pid() !== killed)
    const count = await until('it answers', async () =>
      query<{ n: number }>(connection, 'SELECT count(*)::int AS n FROM kept').catch(() => undefined),
    )
    expect(count).toEqual([{ n: answer }])
  }
  const said = () => lines.filter((line) => line.includes('again after')).length
  await until('both times it was said', async () => said() === 2)
})

test('stopping while PostgreSQL is on its way back leaves nothing', async () => {
  const cluster = await startCluster({
    directory: await preparedDirectory(),
    durable: false,
    progress: () => undefined,
  })
  const mark = await markOf(cluster.connection)
  const killed = cluster.pid() ?? 0
  // Its backends end by themselves soon after it; these do not.
  for (const pid of await livingProcesses(mark)) if (pid !== killed) signal(pid, 'SIGSTOP')
  signal(killed, 'SIGKILL')
  await until('the end is noticed', async () => cluster.pid() !== killed)
  await cluster.stop()
  expect(await livingProcesses(mark)).toEqual([])
})

test.skipIf(process.platform !== 'linux')('an orphan without a watchdog is stopped by the next start', async () => {
  const dataDirectory = await preparedDirectory()
  const owner = await startOwner({ kind: 'embedded', dataDirectory })
  await query(connectionOf(owner), 'CREATE TABLE kept AS SELECT 42 AS answer')
  const mark = await markOf(connectionOf(owner))
  // Frozen first, or it would start another watchdog.
  signal(owner.pid, 'SIGSTOP')
  for (const pid of await childrenNamed(owner.pid, 'ism-watchdog')) signal(pid, 'SIGKILL')
  await owner.kill('SIGKILL')
  const orphans = await livingProcesses(mark)
  expect(orphans).not.toEqual([])

  const next = await startOwner({ kind: 'embedded', dataDirectory })
  expect(await query(connectionOf(next), 'SELECT answer FROM kept')).toEqual([{ answer: 42 }])
  const living = await livingProcesses(mark)
  expect(orphans.filter((pid) => living.includes(pid))).toEqual([])
})

test('a temporary cluster takes its directory with it', async () => {
  const directory = await preparedDirectory()
  const owner = await startOwner({ kind: 'cluster', options: { directory, durable: false, temporary: true } })
  await owner.kill('SIGKILL')
  await until('the directory is gone', async () =>
    readdir(directory).then(
      () => false,
      () => true,
    ),
  )
})

// The other tests start it with an empty environment, so without LANG.
test('it starts in locales that do not exist', async () => {
  const directory = await preparedDirectory()
  const env = { LANG: 'tr_TR.UTF-8', LC_ALL: 'no_SUCH.LOCALE' }
  const owner = await startOwner({ kind: 'cluster', options: { directory, durable: false } }, { env })
  const rows = await query(connectionOf(owner), `SELECT current_setting('server_encoding') AS encoding`)
  expect(rows).toEqual([{ encoding: 'UTF8' }])
})

const NOBODY = { uid: 65534, gid: 65534 }

/** A checkout in root's own home cannot be read by anybody else. */
const canLend =
  process.getuid?.() === 0 &&
  spawnSync(process.execPath, ['-e', `require('fs').readFileSync(process.argv[1])`, OWNER_PROGRAM], NOBODY).status === 0

test.skipIf(!canLend)('it runs as an ordinary user', async () => {
  // Not in temporaryDirectory's, which is root's.
  const dataDirectory = join(tmpdir(), `ism-nobody-${process.pid}`)
  const script = `require('fs').rmSync(process.argv[1], { recursive: true, force: true })`
  onTestFinished(() => void spawnSync(process.execPath, ['-e', script, dataDirectory], NOBODY))
  const owner = await startOwner({ kind: 'embedded', dataDirectory }, NOBODY)
  const connection = connectionOf(owner)
  const mark = await markOf(connection)
  const [postmaster = 0] = await livingProcesses(mark)
  if (process.platform === 'linux')
    expect(await readFile(`/proc/${postmaster}/status`, 'utf8')).toMatch(/^Uid:\s+65534\s/m)
  await owner.kill('SIGKILL')
  await until('no process is left', async () => (await livingProcesses(mark)).length === 0, 4_000)
})

async function childrenNamed(parent: number, name: string): Promise<number[]> {
  const found: number[] = []
  for (const pid of (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))) {
    const [line, status] = await Promise.all(
      ['cmdline', 'stat'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')),
    )
    const parentPid = status?.slice(status.lastIndexOf(')') + 2).split(' ')[1]
    if (line?.includes(name) && parentPid === String(parent)) found.push(Number(pid))
  }
  return found
}
