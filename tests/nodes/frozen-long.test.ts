/**
 * A node that is frozen for longer than its leases, whatever it was doing: the others take over, and when it wakes it
 * harms nothing. `ISM_TEST_FREEZE_SECONDS=60 npx vitest run tests/nodes/frozen-long.test.ts` freezes it for a minute.
 */
import { readFile } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { archived } from '../support/archive.ts'
import { eventually } from '../support/eventually.ts'
import { Ledger } from '../support/ledger.ts'
import { appendMany } from '../support/many-messages.ts'
import { type IsmNode, Service } from '../support/node.ts'
import { Reader } from '../support/persistent-clients.ts'
import type { Person } from '../support/person.ts'
import { endProcesses, startIsmProcess } from '../support/test-process.ts'
import { createGroup, expectEverywhere, expectOk, ofType, pause } from './everywhere.ts'

/** Longer than the archive's lease. */
const FREEZE_MS = Number(process.env['ISM_TEST_FREEZE_SECONDS'] ?? 7) * 1_000
const timeout = 60_000 + FREEZE_MS
const STREAMS = 1_000
/** Two seconds at most, and what a busy machine takes for a send. */
const STOPPED_MS = 3_000
const BEHIND = 'the tail is behind the log'
const CAUGHT_UP = 'the tail has caught up'

let service: Service
let a: IsmNode
let b: IsmNode
beforeAll(async () => {
  service = await Service.create()
  ;[a, b] = await Promise.all([service.node(), service.node()])
})
afterEach(() => {
  for (const node of [a, b]) node.signal('SIGCONT')
})
afterAll(async () => {
  await endProcesses()
  await service.close()
})

/** The node that archives, and one that does not. */
async function archiver(): Promise<[IsmNode, IsmNode]> {
  const { rows } = await service.sql.query<{ name: string }>(
    `select n.name from projection p join node n on n.holder = p.holder
    where p.name = 'archive' and p.lease_until > clock_timestamp()`,
  )
  const isHolder = (node: IsmNode) => rows.some(({ name }) => isNameOf(name, node))
  if (isHolder(a)) return [a, b]
  if (isHolder(b)) return [b, a]
  throw new Error(`no node archives: ${JSON.stringify(rows)}`)
}

const archivePosition = async () => {
  const { rows } = await service.sql.query<{ seq: string; epoch: string }>(
    `select seq, epoch from projection where name = 'archive'`,
  )
  return { seq: Number(rows[0]?.seq), epoch: Number(rows[0]?.epoch) }
}

test('as archiver: another takes over within 10 seconds, and it doubles nothing when it wakes', {
  timeout,
}, async () => {
  const people = await service.people(8, [a, b])
  const ledger = new Ledger()
  const roomId = await createGroup(people, 'archived', a.url)
  ledger.addRoom(roomId, people)
  await archived(service)
  const [frozen, other] = await archiver()
  let over = false
  let slowest = 0
  const sending = people.map(async (person, n) => {
    for (let turn = 0; !over; turn++) {
      const started = performance.now()
      ledger.record(expectOk(await person.at(other.url).send(roomId, `${n}, ${turn}`)))
      slowest = Math.max(slowest, performance.now() - started)
      await pause(5)
    }
  })
  // Anywhere in its work: reading, copying, moving its position on.
  await pause(300)
  const before = await archivePosition()
  frozen.signal('SIGSTOP')
  const frozenAt = performance.now()
  await eventually('another one archives', async () => (await archivePosition()).epoch > before.epoch, 10_000)
  const taken = await archivePosition()
  await eventually('it gets on', async () => (await archivePosition()).seq > taken.seq, 5_000)
  await pause(FREEZE_MS - (performance.now() - frozenAt))
  const positions: number[] = []
  frozen.signal('SIGCONT')
  for (let turn = 0; turn < 20; turn++) {
    positions.push((await archivePosition()).seq)
    await pause(50)
  }
  over = true
  await Promise.all(sending)
  expect(slowest, 'the slowest send on the other node').toBeLessThan(STOPPED_MS)
  await archived(service)
  expect(positions).toEqual([...positions].sort((one, other) => one - other))

  ledger.expectNumbered()
  const { rows } = await service.sql.query(
    `select count(*)::int as messages, count(distinct message_id)::int as ids, max(room_seq)::int as last
    from message where room_id = $1`,
    [roomId],
  )
  const sent = ledger.keys().length
  expect(rows).toEqual([{ messages: sent, ids: sent, last: sent }])
  for (const { url } of [a, b]) await ledger.expectTimeline((people[0] as Person).at(url), roomId)
})

test(`with ${STREAMS} streams: they go on where they were, without loss and in order`, {
  timeout: 2 * timeout,
}, async () => {
  const people = await service.people(STREAMS / 2, [a])
  const [sender, other] = (await service.people(2, [b])) as [Person, Person]
  const ledger = new Ledger()
  const roomId = await createGroup([sender, other, ...people], 'many streams', b.url)
  ledger.addRoom(roomId, [sender, other, ...people])
  const readers = await Promise.all([...people, ...people].map((person) => Reader.open(person, [a.url])))
  const reader = await Reader.open(other)
  await saidThatItIsThere(a)
  const said = a.process.output.length
  a.signal('SIGSTOP')
  const frozenAt = performance.now()
  // Half of the clients miss its keep-alive comments and go elsewhere, the others wait.
  for (const [n, patient] of readers.entries()) if (n % 2 === 0) patient.moveTo(b.url)
  let slowest = 0
  for (let turn = 0; performance.now() - frozenAt < FREEZE_MS; turn++) {
    const started = performance.now()
    ledger.record(expectOk(await sender.send(roomId, `${turn}`)))
    await reader.until('it', () => ofType(reader, 'ChatMessage').length > turn)
    slowest = Math.max(slowest, performance.now() - started)
    await pause(100)
  }
  expect(slowest, 'the slowest send on the other node, until it was heard there').toBeLessThan(STOPPED_MS)
  a.signal('SIGCONT')
  // It says how far behind it was, and that it is so no longer.
  await a.process.until('its tail', (output) => output.slice(said).includes(BEHIND))
  await a.process.until('its tail', (output) => output.slice(said).includes(CAUGHT_UP))
  for (let turn = 0; turn < 5; turn++) ledger.record(expectOk(await sender.at(a.url).send(roomId, `after, ${turn}`)))
  await expectEverywhere(ledger, [...readers, reader], [a, b])
})

test('behind by 40,000 messages: it catches up in order, in bounded memory', { timeout }, async () => {
  const [sender, patient] = (await service.people(2, [a])) as [Person, Person]
  const roomId = await sender.createRoom([patient])
  const reader = await Reader.open(patient, [a.url])
  const before = await residentMebibytes(a)
  await saidThatItIsThere(a)
  const said = a.process.output.length
  a.signal('SIGSTOP')
  const frozenAt = performance.now()
  for (let batch = 0; batch < 80; batch++) await appendMany(service.sql, roomId, sender.id, 500)
  await pause(FREEZE_MS - (performance.now() - frozenAt))
  a.signal('SIGCONT')
  // It says so. Once its row does it is stopped again, so that an operator has time to look.
  await eventually('its row says that it is behind', async () => (await statusOf(a)).lag > 0)
  a.signal('SIGSTOP')
  const { nodes } = await shownStatus()
  a.signal('SIGCONT')
  const shown = nodes.find(({ name }) => isNameOf(name, a))
  expect(shown?.lag, JSON.stringify(nodes)).toBeGreaterThan(0)
  expect(shown?.lagSeconds).toBeGreaterThan(FREEZE_MS / 1_000 - 2)
  await a.process.until('its tail', (output) => output.slice(said).includes(BEHIND))
  await reader.until('all', () => ofType(reader, 'ChatMessage').length >= 40_000, 40_000)
  await a.process.until('its tail', (output) => output.slice(said).includes(CAUGHT_UP))
  await eventually('its row says that it is there', async () => (await statusOf(a)).lag === 0)
  await reader.stop()
  expect(ofType(reader, 'ChatMessage').map(({ message }) => message.roomSeq)).toEqual(
    Array.from({ length: 40_000 }, (_, n) => n + 1),
  )
  // The newest part of the log in memory (64 MiB), and what the collector has not come to yet.
  expect((await residentMebibytes(a)) - before).toBeLessThan(250)
})

/** Until a node has said that it has caught up, it does not say again that it is behind. */
async function saidThatItIsThere({ process }: IsmNode): Promise<void> {
  await process.until('its tail', (output) => output.lastIndexOf(CAUGHT_UP) >= output.lastIndexOf(BEHIND))
}

type NodeStatus = { name: string; lag: number; lagSeconds: number }

const isNameOf = (name: string, { process }: IsmNode) => name.split(' ').includes(String(process.pid))

/** As its last beat left it. */
async function statusOf(node: IsmNode): Promise<NodeStatus> {
  const { rows } = await service.sql.query<NodeStatus>(
    `select name, tail_lag::int as lag, tail_lag_seconds::float8 as "lagSeconds" from node
    where not ended and lease_until > clock_timestamp()`,
  )
  return rows.find(({ name }) => isNameOf(name, node)) ?? { name: '', lag: 0, lagSeconds: 0 }
}

async function shownStatus(): Promise<{ nodes: NodeStatus[] }> {
  const status = await startIsmProcess(['status', '--json', '--config', await service.configuration()])
  await status.exited
  return JSON.parse(status.stdout)
}

async function residentMebibytes({ process: { pid } }: IsmNode): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1]) / 1_024
}

test('who was connected to it is offline within 10 seconds, and online when it wakes', { timeout }, async () => {
  const [watcher, onFrozen, onKilled] = (await service.people(3, [b])) as [Person, Person, Person]
  await watcher.createRoom([onFrozen, onKilled], 'watched')
  const c = await service.node()
  const streams = await Promise.all([onFrozen.at(a.url).stream(), onKilled.at(c.url).stream()])
  const isOnline = async ({ id }: Person) => expectOk(await watcher.get(`/api/users/${id}/presence`)).online
  for (const person of [onFrozen, onKilled]) await eventually(`${person.name} is online`, () => isOnline(person), 4_000)
  const sinceAt = performance.now()
  a.signal('SIGSTOP')
  await c.kill('SIGKILL')
  for (const person of [onFrozen, onKilled])
    await eventually(`${person.name} is offline`, async () => !(await isOnline(person)), 12_000)
  expect(performance.now() - sinceAt).toBeLessThan(10_500)
  const { lastSeenAt } = expectOk(await watcher.get(`/api/users/${onKilled.id}/presence`))
  expect(Date.now() - Date.parse(lastSeenAt)).toBeLessThan(6_000)
  a.signal('SIGCONT')
  await eventually('they are back', () => isOnline(onFrozen), 5_000)
  expect(await isOnline(onKilled)).toBe(false)
  for (const stream of streams) stream.close()
  await eventually('they are gone', async () => !(await isOnline(onFrozen)), 4_000)
})
