/** `ism serve --workers`: processes that are one service on one port, replaced when they die, ended together. */
import { copyFile, mkdtemp, rename, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { EventStream } from '../support/event-stream.ts'
import { eventually } from '../support/eventually.ts'
import { Ledger } from '../support/ledger.ts'
import { type LogLine, reservedPort, Service } from '../support/node.ts'
import { Reader, sendPersistently } from '../support/persistent-clients.ts'
import type { Person } from '../support/person.ts'
import { descendantsOf, type KnownProcess, stillThere } from '../support/process-table.ts'
import { endProcesses, type Surroundings, startIsmProcess, type TestProcess } from '../support/test-process.ts'
import { createGroup, pause } from './everywhere.ts'

const METRICS_TOKEN = 'metrics-token'

let service: Service
beforeAll(async () => {
  service = await Service.create(undefined, { sections: { metrics: { token: METRICS_TOKEN } } })
})
afterEach(endProcesses)
afterAll(() => service.close())

const linesOf = ({ stdout }: TestProcess) =>
  stdout
    .split('\n')
    .slice(0, -1)
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as LogLine)

const isListening = (output: string) => output.includes('"msg":"listening"')

type Running = { primary: TestProcess; url: string }

async function start(workers: number, more: string[] = [], surroundings: Surroundings = {}): Promise<Running> {
  const config = await service.configuration()
  const primary = await startIsmProcess(
    ['serve', '--config', config, '--port', '0', '--workers', String(workers), ...more],
    surroundings,
  )
  await primary.until('where it listens', isListening)
  const [line] = linesOf(primary).filter(({ msg }) => msg === 'listening')
  return { primary, url: `http://127.0.0.1:${line?.['port']}` }
}

async function workersOf({ pid }: TestProcess): Promise<KnownProcess[]> {
  return descendantsOf(pid)
}

async function peopleAt(url: string, count: number): Promise<Person[]> {
  return service.people(count, [{ url }])
}

test('they listen on one free port, say so once, and share out the streams', async () => {
  const { primary, url } = await start(3)
  expect(linesOf(primary).filter(({ msg }) => msg === 'listening')).toEqual([
    expect.objectContaining({ host: '127.0.0.1', port: Number(new URL(url).port), workers: 3 }),
  ])
  expect(await workersOf(primary)).toHaveLength(3)
  const people = await peopleAt(url, 60)
  // One after the other: the next goes to whoever has taken the last, and a busy machine may hold one of them up.
  const streams: EventStream[] = []
  for (const person of people) streams.push(await person.stream())
  await eventually('everybody is known to be there', async () => {
    const { rows } = await service.sql.query(
      'select count(p.user_id)::int as people from node n left join presence p on p.node_id = n.id group by n.id',
    )
    const counts = rows.map(({ people }) => people)
    if (counts.reduce((sum, count) => sum + count, 0) < 60) return false
    expect(Math.min(...counts)).toBeGreaterThan(10)
    return true
  })
  const requests = linesOf(primary).filter(({ msg, path }) => msg === 'request' && path === '/api/rooms')
  expect(new Set(requests.map(({ worker }) => worker))).toEqual(new Set([1, 2, 3]))

  const response = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${METRICS_TOKEN}` } })
  const metrics = await response.text()
  expect(metrics).toMatch(/^ism_streams 60$/m)
  expect(metrics).toMatch(
    /^ism_http_request_duration_seconds_count\{method="GET",route="\/api\/rooms",status="200"\} 60$/m,
  )
  for (const stream of streams) stream.close()
  expect(await primary.kill('SIGTERM')).toEqual({ code: 0, signal: null })
})

test('one that is killed is replaced, and loses nothing', async () => {
  const { primary, url } = await start(2)
  const people = await peopleAt(url, 12)
  const ledger = new Ledger()
  const roomId = await createGroup(people, 'workers', url)
  ledger.addRoom(roomId, people)
  const readers = await Promise.all(people.map((person) => Reader.open(person)))
  let over = false
  const sending = people.map(async (person, n) => {
    for (let turn = 0; !over; turn++) {
      ledger.record((await sendPersistently(person, [url], roomId, `${n}, ${turn}`)).message)
      await pause(20)
    }
  })
  // Whoever ends them learns of it.
  for (const each of sending) each.catch(() => {})
  for (let kills = 1; kills <= 2; kills++) {
    const [victim] = await workersOf(primary)
    process.kill(victim?.pid ?? 0, 'SIGKILL')
    await primary.until('that it is back', (output) => output.split('"msg":"the worker is back"').length === kills + 1)
  }
  over = true
  await Promise.all(sending)
  expect(linesOf(primary).filter(({ msg }) => msg.startsWith('a worker ended'))).toEqual([
    expect.objectContaining({ signal: 'SIGKILL', worker: expect.any(Number), level: 50 }),
    expect.objectContaining({ signal: 'SIGKILL' }),
  ])
  ledger.expectNumbered()
  for (const reader of readers) {
    await reader.until(
      'all',
      () => reader.events.filter(({ message }) => message).length >= ledger.countFor(reader.person),
    )
    await reader.stop()
    ledger.expectStream(reader.person, reader.events)
  }
  expect(await primary.kill('SIGTERM')).toEqual({ code: 0, signal: null })
})

test('Ctrl-C in a terminal, which reaches all of them, ends all of them once', async () => {
  const { primary, url } = await start(2)
  const [person] = (await peopleAt(url, 1)) as [Person]
  const stream = await person.stream()
  const workers = await workersOf(primary)
  for (const { pid } of [...workers, { pid: primary.pid }]) process.kill(pid, 'SIGINT')
  expect(await primary.exited).toEqual({ code: 0, signal: null })
  expect(await stillThere(workers)).toEqual([])
  await stream.until(() => stream.ended, 'its end')
  expect(linesOf(primary).filter(({ level }) => level >= 40)).toEqual([])
  expect(primary.stderr).toBe('')
})

test('none is left where the primary process is killed', async () => {
  const { primary } = await start(2)
  const workers = await workersOf(primary)
  expect(workers).toHaveLength(2)
  await primary.kill('SIGKILL')
  await eventually('they are gone', async () => (await stillThere(workers)).length === 0)
})

test('who was connected to one that hung and died is cut off, and so reconnects', async () => {
  const { primary, url } = await start(2)
  const [hung] = await workersOf(primary)
  process.kill(hung?.pid ?? 0, 'SIGSTOP')
  const asked = Array.from({ length: 6 }, () => fetch(`${url}/health`, { headers: { connection: 'close' } }))
  const answers = Promise.allSettled(asked)
  // All but what was handed to the one that hangs.
  await Promise.any(asked)
  await eventually('the others are answered', async () => {
    const done = linesOf(primary).filter(({ msg, path }) => msg === 'request' && path === '/health')
    return done.length >= 5
  })
  process.kill(hung?.pid ?? 0, 'SIGKILL')
  const outcomes = (await answers).map(({ status }) => status)
  expect(outcomes.filter((status) => status === 'rejected').length).toBeLessThanOrEqual(1)
  expect(await primary.kill('SIGTERM')).toEqual({ code: 0, signal: null })
})

test('one that hangs is killed and replaced, and its clients are served again', async () => {
  const { primary, url } = await start(2, ['--worker-patience', '3'])
  const before = await workersOf(primary)
  const people = await peopleAt(url, 6)
  const readers = await Promise.all(people.map((person) => Reader.open(person)))
  const [hung] = before
  process.kill(hung?.pid ?? 0, 'SIGSTOP')
  await primary.until('that it is back', (output) => output.includes('"msg":"the worker is back"'))
  expect(linesOf(primary).filter(({ msg }) => msg.startsWith('a worker'))).toEqual([
    expect.objectContaining({ msg: 'a worker hangs: it is killed', workerPid: hung?.pid, level: 50 }),
    expect.objectContaining({ msg: 'a worker ended: starting another', workerPid: hung?.pid, signal: 'SIGKILL' }),
  ])
  const after = await workersOf(primary)
  // The other one answered, and stays.
  expect(after.map(({ pid }) => pid)).toContain(before[1]?.pid)
  expect(after).toHaveLength(2)
  for (const reader of readers) {
    await reader.until('its stream', () => reader.connected)
    await reader.stop()
  }
  expect(await primary.kill('SIGTERM')).toEqual({ code: 0, signal: null })
})

test('none is killed where the whole service was paused', async () => {
  // More than a busy machine makes a worker wait.
  const { primary } = await start(2, ['--worker-patience', '5'])
  const workers = await workersOf(primary)
  const all = [primary, ...workers]
  for (const { pid } of all) process.kill(pid, 'SIGSTOP')
  await pause(8_000)
  for (const { pid } of all) process.kill(pid, 'SIGCONT')
  await pause(6_000)
  expect((await workersOf(primary)).map(({ pid }) => pid).sort()).toEqual(workers.map(({ pid }) => pid).sort())
  expect(linesOf(primary).filter(({ msg }) => msg.startsWith('a worker'))).toEqual([])
  expect(await primary.kill('SIGTERM')).toEqual({ code: 0, signal: null })
})

test('one for which no process can be made is tried again', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'ism-workers-'))
  const node = join(directory, 'node')
  await copyFile(process.execPath, node)
  const { primary } = await start(2, [], { node })
  const [victim] = await workersOf(primary)
  await rename(node, `${node}.gone`)
  process.kill(victim?.pid ?? 0, 'SIGKILL')
  await primary.until('that it cannot', (output) => output.includes('"msg":"no process for a worker: trying again"'))
  await rename(`${node}.gone`, node)
  await primary.until('that it is back', (output) => output.includes('"msg":"the worker is back"'))
  expect(await workersOf(primary)).toHaveLength(2)
  expect(await primary.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  await rm(directory, { recursive: true })
})

test('one that hangs is killed when all are to end, and that is a failure', async () => {
  const { primary } = await start(2)
  const workers = await workersOf(primary)
  process.kill(workers[0]?.pid ?? 0, 'SIGSTOP')
  const started = performance.now()
  expect(await primary.kill('SIGTERM')).toEqual({ code: 1, signal: null })
  expect(performance.now() - started).toBeLessThan(10_000)
  expect(primary.stderr).toMatch(/^ism: worker \d did not stop in time\n$/)
  expect(await stillThere(workers)).toEqual([])
})

test('told to stop before they can hear of it, they end all the same', async () => {
  const config = await service.configuration()
  const primary = await startIsmProcess(['serve', '--config', config, '--port', '0', '--workers', '2'])
  await eventually('there are two', async () => (await workersOf(primary)).length === 2)
  expect(await primary.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  expect(primary.stderr).toBe('')
})

test('a start that is hopeless is given up, in a line, by all of them', async () => {
  const other = createServer()
  const port = await reservedPort()
  await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve))
  try {
    const config = await service.configuration()
    const refused = await startIsmProcess(['serve', '--config', config, '--port', String(port), '--workers', '3'])
    expect(await refused.exited).toEqual({ code: 1, signal: null })
    expect(refused.stderr).toMatch(/^ism: .*EADDRINUSE.*\n$/)
    expect(linesOf(refused).filter(({ msg }) => /another|listening/.test(msg))).toEqual([])
  } finally {
    other.close()
  }
})

test('embedded mode runs several, too, and leaves nothing behind', { timeout: 120_000 }, async () => {
  const data = await mkdtemp(join(tmpdir(), 'ism-workers-'))
  const primary = await startIsmProcess(['serve', '--embedded', '--port', '0', '--workers', '2', '--data', data])
  const url = await primary.until('where it is', (output) => /^ISM listens on (\S+)$/m.exec(output)?.[1])
  const all = await descendantsOf(primary.pid)
  expect(await (await fetch(`${url}/health`)).text()).toBe('Healthy')
  expect(linesOf(primary).filter(({ msg }) => msg === 'listening')).toMatchObject([{ workers: 2 }])
  expect(await primary.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  await eventually('all are gone', async () => (await stillThere(all)).length === 0)
  await rm(data, { recursive: true })
})

test('a worker is nothing to start by hand', async () => {
  const worker = await startIsmProcess(['worker', '1'])
  expect(await worker.exited).toEqual({ code: 1, signal: null })
  expect(worker.stderr).toBe('ism: a worker is started by ism serve --workers only\n')
})
