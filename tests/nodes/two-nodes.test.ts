/** Two nodes on one database are one service: whoever sends, reads, opens, blocks or moves, over either of them. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { Ledger } from '../support/ledger.ts'
import { type IsmNode, Service } from '../support/node.ts'
import { Reader } from '../support/persistent-clients.ts'
import type { Answer, Person } from '../support/person.ts'
import { createRandom } from '../support/random.ts'
import { endProcesses } from '../support/test-process.ts'
import { createGroup, expectEverywhere, expectOk, ofType, pause } from './everywhere.ts'

const SENDERS = 64
const ROOMS = 10
/** Where everybody is: many messages of one batch share its millisecond. */
const HALL = 0
const SENDS_EACH = 8
const HOUR = 3_600

let service: Service
let a: IsmNode
let b: IsmNode
beforeAll(async () => {
  service = await Service.create()
  ;[a, b] = await Promise.all([service.node(), service.node()])
})
afterAll(async () => {
  await endProcesses()
  await service.close()
})

describe('64 concurrent senders into 10 rooms', () => {
  // Batches of the two nodes seldom meet by themselves: whatever an append does outside of the lock has to show.
  beforeAll(async () => {
    await service.sql.query(
      `create function dawdle() returns trigger language plpgsql as
        'begin perform pg_sleep(0.005 + random() * 0.015); return null; end';
      create trigger dawdle after insert on event for each statement execute function dawdle()`,
    )
  })
  afterAll(async () => {
    await service.sql.query('drop function dawdle() cascade')
  })

  test('over two nodes', () => chat([a, b]))

  test('over two nodes whose clocks are an hour apart', async () => {
    const early = await service.node({ clockShiftSeconds: HOUR })
    const refusal = (await (await fetch(`${early.url}/api/rooms`)).json()) as { timestamp: string }
    expect(Date.parse(refusal.timestamp) - Date.now()).toBeGreaterThan((HOUR - 60) * 1_000)
    await chat([a, early])
    expect(await early.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  })
})

/** Everybody reads on one node and sends on the other. */
async function chat(nodes: [IsmNode, IsmNode]): Promise<void> {
  const people = await service.people(SENDERS, nodes)
  const ledger = await openRooms(people, nodes)
  const readers = await Promise.all(people.map((person) => Reader.open(person)))
  await Promise.all(
    people.map(async (person, n) => {
      const device = person.at(otherThan(person.url, nodes))
      for (let turn = 0; turn < SENDS_EACH; turn++) {
        const room = turn % 2 === 0 ? HALL : n % ROOMS
        ledger.record(expectOk(await device.send(ledger.rooms[room] ?? '', `${n}, ${turn}`)))
      }
    }),
  )
  ledger.expectNumbered()
  await expectEverywhere(ledger, readers, nodes)
}

/** Everybody is in the hall and in one of the others. */
async function openRooms(people: Person[], nodes: [IsmNode, IsmNode]): Promise<Ledger> {
  const rooms = Array.from({ length: ROOMS }, (_, room) => people.filter((_, n) => room === HALL || n % ROOMS === room))
  const ids = await Promise.all(
    rooms.map((members, room) => createGroup(members, `room ${room}`, nodes[room % 2]?.url ?? '')),
  )
  const ledger = new Ledger()
  for (const [room, members] of rooms.entries()) ledger.addRoom(ids[room] ?? '', members)
  return ledger
}

describe('the same on both nodes at once', () => {
  test('one client message id is one message', async () => {
    const [alice, bob] = (await service.people(2, [a, b])) as [Person, Person]
    const ledger = new Ledger()
    const roomId = await alice.createRoom([bob])
    ledger.addRoom(roomId, [alice, bob])
    const readers = await Promise.all([alice, bob].map((person) => Reader.open(person)))
    await Promise.all(
      Array.from({ length: 40 }, async (_, n) => {
        const more = { clientMessageId: randomUUID() }
        const answers = await Promise.all([a, b].map(({ url }) => alice.at(url).send(roomId, `${n}`, more)))
        const [one, other] = answers.map(expectOk)
        expect(other).toEqual(one)
        ledger.record(one)
      }),
    )
    ledger.expectNumbered()
    await expectEverywhere(ledger, readers, [a, b])
  })

  test('one client message id for two texts is a conflict', async () => {
    const [alice, bob] = (await service.people(2, [a, b])) as [Person, Person]
    const roomId = await alice.createRoom([bob])
    for (let turn = 0; turn < 10; turn++) {
      const more = { clientMessageId: randomUUID() }
      const answers = await Promise.all([a, b].map(({ url }) => alice.at(url).send(roomId, url, more)))
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 409])
    }
    expect(await alice.timeline(roomId)).toHaveLength(10)
  })

  test('one private room is opened once', async () => {
    const people = await service.people(24, [a, b])
    await Promise.all(
      pairsOf(people).map(async ([one, other]) => {
        const single = { roomType: 'Single', invitedUsers: [one.id, other.id] }
        const answers = await Promise.all([one, other].map((person) => person.post('/api/rooms/create-room', single)))
        expect(answers.map(({ status }) => status).sort()).toEqual([200, 400])
        for (const person of [one, other]) expect((await person.get('/api/rooms')).body).toHaveLength(1)
      }),
    )
  })
})

test('a block that races sends ends the room, and nothing comes after that', async () => {
  const random = createRandom(7)
  const pairs = pairsOf(await service.people(24, [a, b]))
  const rooms = await Promise.all(pairs.map((pair) => blockWhileSending(pair, random.below(12))))
  await expectErased(rooms)
})

/** The one sends on the first node, the other blocks on the second. @returns the room that it was about */
async function blockWhileSending([sender, blocker]: [Person, Person], sendsBefore: number): Promise<string> {
  const roomId = await sender.createRoom([blocker])
  const readers = await Promise.all([sender, blocker].map((person) => Reader.open(person)))
  let answered = 0
  let blocking: Promise<Answer> | undefined
  const sendUntilRefused = async () => {
    for (;;) {
      const { status } = await sender.send(roomId, 'Are you there?')
      if (status !== 200) return status
      if (++answered > sendsBefore) blocking ??= blocker.post(`/api/users/ignore/${sender.id}`)
      // Somebody whose stream begins in the middle of it all.
      if (answered % 8 === 0) readers.push(new Reader(answered % 16 === 0 ? sender : blocker))
    }
  }
  const refusals = await Promise.all([1, 2, 3].map(sendUntilRefused))
  expect(refusals).toEqual([404, 404, 404])
  expect(await blocking).toMatchObject({ status: 200 })
  for (const reader of readers.slice(0, 2)) await reader.next('LeaveRoom', ({ type }) => type === 'LeaveRoom')
  await Promise.all(readers.map((reader) => reader.stop()))
  for (const { events } of readers) expectNothingAfterLeaving(events, roomId)
  expect((await sender.get(`/api/rooms/${roomId}/timeline?timestamp=9999-01-01T00:00:00Z`)).status).toBe(404)
  return roomId
}

function expectNothingAfterLeaving(events: Reader['events'], roomId: string): void {
  const left = events.findIndex(({ type }) => type === 'LeaveRoom')
  if (left >= 0) expect(events.slice(left + 1)).toEqual([])
  const sequence = events.filter(({ message }) => message?.chatRoomId === roomId).map(({ message }) => message.roomSeq)
  expect(sequence).toEqual([...new Set(sequence)].sort((one, other) => one - other))
}

/** Neither the log nor the message store keeps a word of a room that is gone. */
async function expectErased(rooms: string[]): Promise<void> {
  const [{ head }] = (await service.sql.query('select max(seq)::int as head from event')).rows
  await eventually('the archive has come this far', async () => {
    const { rows } = await service.sql.query(`select seq::int from projection where name = 'archive'`)
    return rows[0]?.seq >= head
  })
  const { rows } = await service.sql.query(
    `select (select count(*)::int from event where room_id = any ($1) and room_seq is not null) as logged,
      (select count(*)::int from message where room_id = any ($1)) as stored,
      (select count(*)::int from event where room_id = any ($1) and type = 9) as ended`,
    [rooms],
  )
  expect(rows).toEqual([{ logged: 0, stored: 0, ended: rooms.length }])
}

test('a cut wake-up connection only delays', async () => {
  const [alice, bob] = (await service.people(2, [a, b])) as [Person, Person]
  const roomId = await alice.createRoom([bob])
  const readers = await Promise.all([alice, bob].map((person) => Reader.open(person)))
  for (let turn = 1; turn <= 2; turn++) {
    const { rowCount } = await service.sql.query(
      `select pg_terminate_backend(pid, 1000) from pg_stat_activity
      where application_name = 'ism listener' and datname = current_database()`,
    )
    expect(rowCount).toBe(2)
    for (const person of [alice, bob]) expectOk(await person.send(roomId, `${turn}`))
    for (const reader of readers)
      await reader.until('both messages', () => ofType(reader, 'ChatMessage').length === 2 * turn, 4_000)
    await eventually('both listen again', async () => (await listeners()) === 2)
  }
  await Promise.all(readers.map((reader) => reader.stop()))
})

async function listeners(): Promise<number> {
  const { rows } = await service.sql.query(
    `select count(*)::int from pg_stat_activity
    where application_name = 'ism listener' and datname = current_database() and query like 'listen%'`,
  )
  return rows[0].count
}

test('a stream that moves between the nodes loses nothing', async () => {
  const people = await service.people(8, [a, b])
  const ledger = new Ledger()
  const roomId = await createGroup(people, 'on the move', a.url)
  ledger.addRoom(roomId, people)
  const readers = await Promise.all(people.map((person) => Reader.open(person, [a.url, b.url])))
  let over = false
  const sending = people.map(async (person, n) => {
    for (let turn = 0; !over; turn++) ledger.record(expectOk(await person.send(roomId, `${n}, ${turn}`)))
  })
  for (let turn = 0; turn < 30; turn++) {
    await pause(40)
    for (const reader of readers.filter((_, n) => (n + turn) % 3 === 0)) {
      await reader.until('a connection', () => reader.connected)
      reader.moveTo(a.url, b.url)
    }
  }
  over = true
  await Promise.all(sending)
  await expectEverywhere(ledger, readers, [a, b])
  for (const { connections } of readers) expect(connections).toBeGreaterThan(4)
})

const otherThan = (url: string, nodes: readonly IsmNode[]) => nodes.find((node) => node.url !== url)?.url ?? url

const pairsOf = (people: Person[]) =>
  people.flatMap((person, n) => (n % 2 === 0 ? [[person, people[n + 1]] as [Person, Person]] : []))
