/** The embedded PostgreSQL in its ordinary life: made, started again, in odd places and surroundings. */

import { existsSync } from 'node:fs'
import { chmod, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { findBinaries } from '../../src/embedded/postgres/binaries.ts'
import { type Cluster, type ClusterOptions, startCluster } from '../../src/embedded/postgres/cluster.ts'
import { unprivilegedUser } from '../../src/embedded/postgres/run-as.ts'
import { livingProcesses, markOf, preparedDirectories, query, temporaryDirectory } from './owner.ts'

async function start(directory: string, options: Partial<ClusterOptions> = {}): Promise<Cluster & { lines: string[] }> {
  const lines: string[] = []
  const cluster = await startCluster({ directory, progress: (line) => lines.push(line), ...options })
  onTestFinished(() => cluster.stop())
  return { ...cluster, lines }
}

const preparedDirectory = preparedDirectories()

test('a cluster keeps its data over a restart and leaves no process', async () => {
  const directory = await temporaryDirectory()
  const first = await start(directory)
  await query(first.connection, 'CREATE TABLE kept AS SELECT 42 AS answer')
  const mark = await markOf(first.connection)
  expect(await livingProcesses(mark)).not.toEqual([])
  await first.stop()
  expect(await livingProcesses(mark)).toEqual([])
  const { mode } = await stat(join(directory, 'postgres-password'))
  expect(mode & 0o077).toBe(0)

  const second = await start(directory)
  expect(await query(second.connection, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }])
  expect(first.lines.filter((line) => line.startsWith('Making'))).toHaveLength(1)
  expect(second.lines.filter((line) => line.startsWith('Making'))).toHaveLength(0)
})

test('it is durable, in UTF-8, on TCP of the loopback alone and asks for its password', async () => {
  const { connection } = await start(await preparedDirectory())
  const [settings] = await query<Record<string, string>>(
    connection,
    `SELECT current_setting('fsync') AS fsync, current_setting('full_page_writes') AS pages,
       current_setting('synchronous_commit') AS commits, current_setting('listen_addresses') AS addresses,
       current_setting('unix_socket_directories') AS sockets, current_setting('server_encoding') AS encoding`,
  )
  expect(settings).toEqual({
    fsync: 'on',
    pages: 'on',
    commits: 'on',
    addresses: '127.0.0.1',
    sockets: '',
    encoding: 'UTF8',
  })
  await query(connection, 'CREATE EXTENSION pg_trgm')
  expect(await query(connection, `SELECT lower('ÄЖ') AS lower, 'жук' % 'Жук' AS similar`)).toEqual([
    { lower: 'äж', similar: true },
  ])
  await expect(query({ ...connection, password: 'guess' }, 'SELECT')).rejects.toThrow(/authentication/)
})

test('a stale postmaster.pid that names some other living process does not stop it', async () => {
  const directory = await preparedDirectory()
  const first = await start(directory)
  const file = join(directory, 'cluster', 'postmaster.pid')
  const lines = (await readFile(file, 'utf8')).split('\n')
  await first.stop()
  await writeFile(file, [String(process.pid), ...lines.slice(1)].join('\n'))
  const second = await start(directory)
  expect(await query(second.connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
})

test('a start that was cut short is begun again, but a cluster without its password is not made anew', async () => {
  const directory = await temporaryDirectory()
  await writeFile(join(directory, 'postgres-password'), 'from-the-start-before\n')
  const cluster = await start(directory, { durable: false })
  expect(cluster.connection.password).toBe('from-the-start-before')
  await cluster.stop()
  await writeFile(join(directory, 'postgres-password'), '')
  await expect(start(directory)).rejects.toThrow(/postgres-password is missing or empty/)
})

test.skipIf(process.getuid?.() !== 0)('root may keep it where no other user can go', async () => {
  const directory = await temporaryDirectory()
  await chmod(directory, 0o700)
  const inner = join(directory, 'below', 'data')
  await (await start(inner, { durable: false })).stop()
  const { connection } = await start(inner)
  expect(await query(connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  expect((await stat(join(inner, 'cluster'))).uid).not.toBe(0)
})

// Debian's place: where there is none, nothing can be tried.
test.skipIf(!existsSync('/usr/lib/postgresql'))(
  "the system's PostgreSQL serves where there is no package",
  async () => {
    const directory = await temporaryDirectory()
    const first = await start(directory, { source: 'system', durable: false })
    await query(first.connection, 'CREATE EXTENSION pg_trgm')
    expect(await query(first.connection, `SELECT lower('ÄЖ') AS lower`)).toEqual([{ lower: 'äж' }])
    await first.stop()

    // What made a cluster runs it, although the package would be preferred.
    const second = await start(directory, { durable: false })
    expect(second.version).toBe(first.version)
  },
)

test('where no PostgreSQL fits, the error says what to install', async () => {
  const options = { user: undefined, cacheDirectory: await temporaryDirectory(), searchPath: '/nonexistent' }
  await expect(findBinaries({ ...options, requiredMajor: 99 })).rejects.toThrow(
    /needs PostgreSQL 99, which made this data directory,.*Install it \(/,
  )
})

test('root lends a user that exists, and never root itself', () => {
  const nobody = 'nobody:x:65534:65534::/:/usr/sbin/nologin'
  expect(unprivilegedUser(`root:x:0:0::/root:/bin/sh\n${nobody}\npostgres:x:101:104::/:/bin/sh`)).toEqual({
    uid: 101,
    gid: 104,
  })
  expect(unprivilegedUser(`root:x:0:0::/root:/bin/sh\npostgres:x:0:0::/:/bin/sh\n${nobody}`).uid).toBe(65534)
  expect(unprivilegedUser('').uid).toBeGreaterThan(0)
})
