/** Resuming: exactly what was missed, once, in order, from memory, from the database and by REST; or Resync. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { App } from '../../src/app.ts'
import { archived } from '../support/archive.ts'
import type { WireEvent } from '../support/event-stream.ts'
import { appendSystemMessage } from '../support/hearing.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { appendMany } from '../support/many-messages.ts'
import type { Person } from '../support/person.ts'

let ism: TestIsm
/** A node that keeps no event in memory: it replays from the database alone. */
let forgetful: App
let alice: Person
let bob: Person
let roomId: string
let cursor: string

beforeAll(async () => {
  ism = await startIsm()
  forgetful = await ism.anotherNode({ log: { memoryBytes: 1 } })
})
afterAll(async () => {
  await forgetful.close()
  await ism.stop()
})
beforeEach(async () => {
  const round = Math.random().toString(36).slice(2)
  ;[alice, bob] = await ism.people(`alice ${round}`, `bob ${round}`)
  roomId = await alice.createRoom([bob], 'Cooks')
  cursor = await present(alice)
})

const present = async (person: Person) => (await person.get('/api/notifications/cursor')).body.lastEventId
const atForgetful = (person: Person) => person.at(`http://127.0.0.1:${forgetful.address.port}`)

async function byRest(person: Person, lastEventId: string): Promise<WireEvent[]> {
  const events: WireEvent[] = []
  for (let path: string | undefined = `/api/notifications?lastEventId=${lastEventId}`; path; ) {
    const { body, headers } = await person.get(path)
    events.push(...body)
    path = /^<([^>]+)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1]
  }
  return events
}

/** What `person` gets after `lastEventId`, which is the same in every way of getting it. */
async function missed(person: Person, lastEventId: string): Promise<WireEvent[]> {
  const end = await markEnd(person)
  const elsewhere = atForgetful(person)
  const streams = await Promise.all([person.stream(lastEventId), elsewhere.stream(lastEventId)])
  for (const stream of streams) await stream.next(end)
  const rest = await byRest(person, lastEventId)
  for (const stream of streams) expect(stream.events).toEqual(rest)
  person.closeStreams()
  elsewhere.closeStreams()
  return rest.filter(({ message }) => !message?.end)
}

/** A node that has not read all of the log yet begins a new stream there, earlier than now. */
async function caughtUp(person: Person): Promise<void> {
  const stream = await person.stream(await present(person))
  stream.close()
}

/** @returns a test for the event that marks this moment */
async function markEnd(person: Person): Promise<(event: WireEvent) => boolean> {
  const end = randomUUID()
  await appendSystemMessage(ism, [person], { end })
  return ({ message }) => message?.end === end
}

const texts = (events: WireEvent[]) =>
  events.filter(({ type }) => type === 'ChatMessage').map(({ message }) => message.msgBody.text)

test('nothing was missed', async () => {
  expect(await missed(bob, cursor)).toEqual([])
})

test('from each event on, what came after it', async () => {
  const live = await bob.stream(cursor)
  await alice.send(roomId, 'one')
  await bob.send(roomId, 'two', { clientMessageId: randomUUID() })
  await bob.post(`/api/rooms/${roomId}/mark-read`)
  await alice.post(`/api/rooms/${roomId}/mark-read`)
  const other = await alice.createRoom([bob])
  await alice.send(other, 'three')
  await alice.post(`/api/users/friends/add/${bob.id}`)
  await alice.send(roomId, 'four')
  await appendSystemMessage(ism, [bob], 'last')
  await live.next(({ message }) => message === 'last')
  const events = live.events.slice()
  expect(events).toHaveLength(8)
  for (const [n, { eventId }] of events.entries()) expect(await byRest(bob, eventId)).toEqual(events.slice(n + 1))
  for (const n of [0, 3, 7]) expect(await missed(bob, events[n]?.eventId ?? '')).toEqual(events.slice(n + 1))
})

test('while away from a room nothing of it was missed', async () => {
  const leave = () => bob.post(`/api/rooms/${roomId}/leave`)
  const invite = () => alice.post(`/api/rooms/${roomId}/invite/${bob.id}`)
  // A node that has known bob all along, and one that learns of him later, give the same.
  const live = await bob.stream(cursor)
  await alice.send(roomId, 'with bob')
  await leave()
  await alice.send(roomId, 'without bob')
  await invite()
  await alice.send(roomId, 'with bob again')
  await leave()
  await alice.send(roomId, 'without bob again')
  await invite()
  await bob.send(roomId, 'back')
  const events = await missed(bob, cursor)
  expect(events.map(({ type }) => type)).toEqual([
    'ChatMessage',
    'LeaveRoom',
    'NewRoom',
    'ChatMessage',
    'LeaveRoom',
    'NewRoom',
    'ChatMessage',
  ])
  expect(texts(events)).toEqual(['with bob', 'with bob again', 'back'])
  expect(live.events.slice(0, -1)).toEqual(events)
})

test('who has left still gets what came before', async () => {
  await alice.send(roomId, 'with bob')
  await bob.post(`/api/rooms/${roomId}/leave`)
  await alice.send(roomId, 'without bob')
  expect((await missed(bob, cursor)).map(({ type }) => type)).toEqual(['ChatMessage', 'LeaveRoom'])
})

test('of a deleted room its LeaveRoom alone, before and after it is erased', async () => {
  const single = await alice.createRoom([bob])
  await alice.send(single, 'Between us')
  await bob.post(`/api/rooms/${single}/mark-read`)
  await alice.send(roomId, 'In the Group')
  await bob.post(`/api/rooms/${single}/leave`)
  for (const device of [bob, atForgetful(bob)]) await caughtUp(device)
  for (const person of [alice, bob]) {
    const events = await missed(person, cursor)
    expect(events.map(({ type }) => type)).toEqual(['ChatMessage', 'LeaveRoom'])
    expect(texts(events)).toEqual(['In the Group'])
    expect(events[1]).toMatchObject({ roomId: single })
  }
  await archived(ism)
  const types = (await missed(bob, cursor)).map(({ type }) => type)
  expect(types).toEqual(['ChatMessage', 'LeaveRoom'])
})

test.each([999, 1_000, 5_500])('%i missed messages', async (count) => {
  await appendMany(ism.sql, roomId, alice.id, count)
  expect(texts(await missed(bob, cursor))).toEqual(Array.from({ length: count }, (_, n) => String(n + 1)))
})

test('large events, by REST in several pages', async () => {
  const large = 'x'.repeat(200_000)
  for (let n = 0; n < 60; n++) await appendSystemMessage(ism, [bob], `${n} ${large}`)
  const events = await missed(bob, cursor)
  expect(events.map(({ message }) => Number.parseInt(message, 10))).toEqual(Array.from({ length: 60 }, (_, n) => n))
  const { body, headers } = await bob.get(`/api/notifications?lastEventId=${cursor}`)
  expect(body.length).toBeLessThan(60)
  expect(headers.get('link')).toContain('rel="next"')
})

test('a stream that opens amid sends has each once, in order', async () => {
  const roomIds = [roomId, await alice.createRoom([bob], 'Bakers'), await alice.createRoom([bob], 'Butchers')]
  const sends = Array.from({ length: 150 }, async (_, n) => {
    const { body } = await (n % 2 ? alice : bob).send(roomIds[n % 3] ?? roomId, `message ${n}`)
    return body.messageId
  })
  const streams = []
  for (let n = 0; n < 6; n++) streams.push(await (n % 2 ? bob : atForgetful(bob)).stream(cursor))
  const sent = new Set(await Promise.all(sends))
  const end = await markEnd(bob)
  for (const stream of streams) {
    await stream.next(end)
    const messages = stream.ofType('ChatMessage')
    expect(messages).toHaveLength(150)
    expect(new Set(messages.map(({ message }) => message.messageId))).toEqual(sent)
    const seqs = stream.events.map(({ seq }) => seq)
    expect(seqs).toEqual([...seqs].sort((one, other) => one - other))
  }
})

test('one who was cut off again and again has everything once', async () => {
  const heard: WireEvent[] = []
  let lastEventId = cursor
  for (let n = 0; n < 12; n++) {
    await alice.send(roomId, `${n} a`)
    const stream = await (n % 2 ? bob : atForgetful(bob)).stream(lastEventId)
    await alice.send(roomId, `${n} b`)
    await stream.until(() => stream.events.length > n % 2, 'some events')
    stream.close()
    heard.push(...stream.events)
    lastEventId = stream.lastEventId ?? lastEventId
  }
  heard.push(...(await missed(bob, lastEventId)))
  expect(texts(heard)).toEqual(Array.from({ length: 24 }, (_, n) => `${n >> 1} ${n % 2 ? 'b' : 'a'}`))
})

describe('the cursor', () => {
  test('may come as ?lastEventId=, and the header wins', async () => {
    await alice.send(roomId, 'one')
    const later = await present(bob)
    await alice.send(roomId, 'two')
    const byQuery = await bob.stream(undefined, `?lastEventId=${cursor}`)
    const byBoth = await bob.stream(later, `?lastEventId=${cursor}`)
    const byHeader = await bob.stream(cursor, '?lastEventId=garbage')
    await alice.send(roomId, 'end')
    for (const stream of [byQuery, byBoth, byHeader]) await stream.next(({ message }) => message.msgBody.text === 'end')
    expect(texts(byQuery.events)).toEqual(['one', 'two', 'end'])
    expect(texts(byBoth.events)).toEqual(['two', 'end'])
    expect(texts(byHeader.events)).toEqual(['one', 'two', 'end'])
  })

  test('of a stream that heard nothing is the moment it opened', async () => {
    const stream = await bob.stream()
    const opened = stream.lastEventId ?? ''
    stream.close()
    await alice.send(roomId, 'one')
    expect(texts(await missed(bob, opened))).toEqual(['one'])
  })

  test('of one person tells another nothing of theirs', async () => {
    await alice.send(roomId, 'one')
    const [carol] = await ism.people(`carol ${Math.random()}`)
    expect(await missed(carol, cursor)).toEqual([])
  })

  test('without one a stream begins now', async () => {
    await alice.send(roomId, 'one')
    await caughtUp(bob)
    const stream = await bob.stream()
    await alice.send(roomId, 'two')
    await stream.next(() => true)
    expect(texts(stream.events)).toEqual(['two'])
  })
})

describe('Resync', () => {
  const encode = (text: string) => Buffer.from(text).toString('base64url')
  const decode = (text: string) => Buffer.from(text, 'base64url').toString()
  const trimmed = (seq: number) => ism.sql.query('update event_log set trimmed_seq = $1', [seq])

  const cases: [string, string, () => string | Promise<string>][] = [
    ['garbage', 'UNKNOWN_CURSOR', () => 'garbage'],
    ['a number', 'UNKNOWN_CURSOR', () => '12'],
    ['more than a cursor', 'UNKNOWN_CURSOR', () => encode(`${decode(cursor)}.5`)],
    ['a negative seq', 'UNKNOWN_CURSOR', () => encode('abc.-1')],
    ['something endless', 'UNKNOWN_CURSOR', () => 'a'.repeat(4_000)],
    ['another log', 'OTHER_LOG', () => encode(`${'0'.repeat(32)}.1`)],
    ['the future', 'AHEAD_OF_LOG', () => encode(decode(cursor).replace(/\d+$/, '999999999999'))],
    [
      'before what is kept',
      'TOO_OLD',
      async () => {
        await trimmed(Number(/\d+$/.exec(decode(cursor))?.[0]) + 1)
        return cursor
      },
    ],
  ]

  test.each(cases)('answers %s with %s, then the live stream', async (_, reason, make) => {
    await alice.send(roomId, 'missed')
    const lastEventId = await make()
    try {
      const resync = { type: 'Resync', reason, createdAt: expect.any(String), eventId: expect.any(String) }
      for (const person of [bob, atForgetful(bob)]) {
        await caughtUp(person)
        const stream = await person.stream(lastEventId)
        const first = await stream.next(() => true)
        expect(first).toEqual(resync)
        expect(stream.lastEventId).toBe(first.eventId)
        const resumed = await person.stream(first.eventId)
        await alice.send(roomId, 'after')
        await resumed.next(() => true)
        await stream.next(({ type }) => type === 'ChatMessage')
        expect(texts(stream.events)).toEqual(['after'])
        expect(stream.events.slice(1)).toEqual(resumed.events)
        person.closeStreams()
      }
      const { status, body, headers } = await bob.get(`/api/notifications?lastEventId=${lastEventId}`)
      expect([status, body]).toEqual([200, [resync]])
      expect(headers.get('link')).toBeNull()
      expect(await byRest(bob, body[0].eventId)).toEqual([])
    } finally {
      await trimmed(0)
    }
  })

  test('is not sent for the oldest cursor that is kept', async () => {
    await alice.send(roomId, 'kept')
    await trimmed(Number(/\d+$/.exec(decode(cursor))?.[0]))
    expect(texts(await missed(bob, cursor))).toEqual(['kept'])
    await trimmed(0)
  })
})
