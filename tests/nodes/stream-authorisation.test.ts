/** Who may receive is the same on every node: tickets, deleted people, and people who were removed from a room. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { EventStream } from '../support/event-stream.ts'
import { type IsmNode, Service } from '../support/node.ts'
import type { Person } from '../support/person.ts'
import { endProcesses } from '../support/test-process.ts'
import { createGroup, expectOk } from './everywhere.ts'

/** As promised. */
const ENDED_MS = 1_000

let service: Service
let a: IsmNode
let b: IsmNode
let alice: Person
let bob: Person
let carol: Person
/** Alice's and bob's devices, each on the one node and the other. */
let devices: Person[]
beforeAll(async () => {
  service = await Service.create()
  ;[a, b] = await Promise.all([service.node(), service.node()])
})
afterAll(async () => {
  await endProcesses()
  await service.close()
})
beforeEach(async () => {
  ;[alice, bob, carol] = (await service.people(3, [a, b])) as [Person, Person, Person]
  devices = [alice, bob].flatMap((person) => [person.at(a.url), person.at(b.url)])
})
afterEach(() => {
  for (const device of devices) device.closeStreams()
})

const openAll = () => Promise.all(devices.map((device) => device.stream()))
const textsOf = ({ events }: EventStream) => events.flatMap(({ message }) => message?.msgBody?.text ?? [])

async function hearLast(streams: EventStream[], text: string): Promise<void> {
  for (const stream of streams) await stream.until(() => textsOf(stream).at(-1) === text, text)
}

test('a ticket that is used on both nodes at once opens one stream', async () => {
  for (let turn = 0; turn < 20; turn++) {
    const ticket = await alice.ticket()
    const streams = await Promise.all([a, b].map(({ url }) => bob.at(url).source(`?ticket=${ticket}`)))
    expect(streams.map(({ status }) => status).sort()).toEqual([200, 401])
    for (const stream of streams) stream.close()
  }
})

test('a ticket’s stream that moves to the other node ends on the first', async () => {
  const [onA, onB] = devices as [Person, Person]
  const ticket = await onA.ticket()
  let stream = await onB.source(`?ticket=${ticket}`)
  for (const device of [onA, onB, onA]) {
    const newer = await device.source(`?ticket=${ticket}`, stream.lastEventId)
    expect(newer.status).toBe(200)
    await stream.until(() => stream.ended, 'the end of the older one', ENDED_MS)
    stream = newer
  }
  expect(stream.ended).toBe(false)
})

test('who is marked deleted receives nothing a second later, on either node', async () => {
  const streams = await openAll()
  const roomId = await createGroup([alice, bob, carol], 'all', a.url)
  await service.sql.query('update app_user set deleted_at = now() where id = $1', [alice.id])
  for (const stream of streams.slice(0, 2)) await stream.until(() => stream.ended, 'the end', ENDED_MS)
  expectOk(await carol.send(roomId, 'without alice'))
  await hearLast(streams.slice(2), 'without alice')
  for (const stream of streams.slice(0, 2)) expect(textsOf(stream)).toEqual([])
})

test('nor while wake-ups are cut', async () => {
  const streams = await openAll()
  const { rowCount } = await service.sql.query(
    `select pg_terminate_backend(pid, 1000) from pg_stat_activity
    where application_name = 'ism listener' and datname = current_database()`,
  )
  expect(rowCount).toBe(2)
  await service.sql.query('update app_user set deleted_at = now() where id = $1', [alice.id])
  for (const stream of streams.slice(0, 2)) await stream.until(() => stream.ended, 'the end', 1_500)
  for (const stream of streams.slice(2)) expect(stream.ended).toBe(false)
})

test('who has left a room receives nothing of it a second later, on either node', async () => {
  const streams = await openAll()
  const roomId = await createGroup([alice, bob, carol], 'all', b.url)
  expectOk(await carol.send(roomId, 'with alice'))
  await hearLast(streams, 'with alice')
  expectOk(await alice.post(`/api/rooms/${roomId}/leave`))
  for (const stream of streams.slice(0, 2))
    await stream.until(() => stream.events.at(-1)?.type === 'LeaveRoom', 'the end of the room', ENDED_MS)
  for (const { url } of [a, b]) expectOk(await carol.at(url).send(roomId, `without alice, ${url}`))
  await hearLast(streams.slice(2), `without alice, ${b.url}`)
  const other = await createGroup([alice, carol], 'others', a.url)
  expectOk(await carol.send(other, 'elsewhere'))
  await hearLast(streams.slice(0, 2), 'elsewhere')
  for (const stream of streams.slice(0, 2)) expect(textsOf(stream)).toEqual(['with alice', 'elsewhere'])
})
