/** The events by REST: since a time, since an event, page by page, and the cursor of the present moment. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { WireEvent } from '../support/event-stream.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { appendMany } from '../support/many-messages.ts'
import type { Person } from '../support/person.ts'
import { expectRefusal } from '../support/refusal.ts'

let ism: TestIsm
let alice: Person
let bob: Person
let carol: Person
let roomId: string

beforeAll(async () => {
  ism = await startIsm()
})
afterAll(() => ism.stop())
beforeEach(async () => {
  const round = Math.random().toString(36).slice(2)
  ;[alice, bob, carol] = await ism.people(`alice ${round}`, `bob ${round}`, `carol ${round}`)
  roomId = await alice.createRoom([bob], 'Cooks')
})

const since = (query: string, person = bob) => person.get(`/api/notifications?${query}`)
const at = (time: string | number) => `timestamp=${encodeURIComponent(new Date(time).toISOString())}`
const LONG_AGO = at('1970-01-02')

describe('since a time', () => {
  test('lists the caller’s events, oldest first, as the stream has them', async () => {
    const stream = await bob.stream((await bob.get('/api/notifications/cursor')).body.lastEventId)
    await alice.send(roomId, 'one')
    await bob.send(roomId, 'two', { clientMessageId: randomUUID() })
    await bob.post(`/api/users/friends/add/${alice.id}`)
    await alice.post(`/api/users/friends/accept-request/${bob.id}`)
    await stream.next(({ type }) => type === 'FriendRequestAccepted')
    const { status, body, headers } = await since(LONG_AGO)
    expect(status).toBe(200)
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8')
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('link')).toBeNull()
    expect(body[0]).toMatchObject({ type: 'NewRoom', room: { id: roomId } })
    expect(body.slice(1)).toEqual(stream.events)
    expect(stream.events.map(({ type }) => type)).toEqual(['ChatMessage', 'ChatMessage', 'FriendRequestAccepted'])
  })

  test('includes the time itself', async () => {
    for (const text of ['one', 'two', 'three']) await alice.send(roomId, text)
    const all: WireEvent[] = (await since(LONG_AGO)).body
    expect(all).toHaveLength(4)
    for (const { createdAt } of all) {
      const from = (milliseconds: number) => all.filter((event) => Date.parse(event.createdAt) >= milliseconds)
      const time = Date.parse(createdAt)
      expect((await since(at(time))).body).toEqual(from(time))
      expect((await since(at(time + 1))).body).toEqual(from(time + 1))
    }
    const last = all.at(-1)?.createdAt ?? ''
    const elsewhere = new Date(Date.parse(last) - 8 * 3_600_000).toISOString().replace('Z', '999-08:00')
    expect((await since(`timestamp=${elsewhere}`)).body.at(-1)).toEqual(all.at(-1))
  })

  test('of the future is empty', async () => {
    expect((await since(at('9999-01-01'))).body).toEqual([])
  })

  test.each(['1969-12-31T23:59:59Z', '0001-01-01T00:00:00Z', '0000-01-01T00:00:00Z'])(
    'before all time, %s, is everything',
    async (time) => {
      expect((await since(`timestamp=${time}`)).body).toEqual((await since(LONG_AGO)).body)
    },
  )

  test('is nobody else’s', async () => {
    await alice.send(roomId, 'one')
    expect((await since(LONG_AGO, carol)).body).toEqual([])
    expect((await since(LONG_AGO, alice)).body).toHaveLength(2)
  })

  test.each(['', 'timestamp=', 'timestamp=now', 'timestamp=5', 'timestamp=2026-13-01T00:00:00Z', 'lastEventId='])(
    'refuses "%s"',
    async (query) => {
      const message = 'timestamp: must be an RFC 3339 time, such as 2026-01-31T12:00:00.000Z'
      expectRefusal(await since(query), 'VALIDATION_ERROR', message)
    },
  )

  test('is refused without a token', async () => {
    const anonymous = bob.at(ism.url)
    anonymous.token = 'nonsense'
    expectRefusal(await since(LONG_AGO, anonymous), 'UNAUTHENTICATED')
    expectRefusal(await anonymous.get('/api/notifications/cursor'), 'UNAUTHENTICATED')
  })
})

describe('since an event', () => {
  test('lists what came after it', async () => {
    for (const text of ['one', 'two', 'three']) await alice.send(roomId, text)
    const all: WireEvent[] = (await since(LONG_AGO)).body
    for (const [n, { eventId }] of all.entries())
      expect((await since(`lastEventId=${eventId}`)).body).toEqual(all.slice(n + 1))
  })

  test('which wins over a time', async () => {
    const cursor = (await bob.get('/api/notifications/cursor')).body.lastEventId
    expect((await since(`lastEventId=${cursor}&${LONG_AGO}`)).body).toEqual([])
  })
})

test.each([999, 1_000, 1_001, 2_500])('%i messages come in pages of 1,000', async (count) => {
  const cursor = (await bob.get('/api/notifications/cursor')).body.lastEventId
  await appendMany(ism.sql, roomId, alice.id, count)
  for (const [query, expected] of [
    [`lastEventId=${cursor}`, count],
    [LONG_AGO, count + 1],
  ] as const) {
    const events: WireEvent[] = []
    const sizes: number[] = []
    for (let path: string | undefined = `/api/notifications?${query}`; path; ) {
      const { body, headers } = await bob.get(path)
      events.push(...body)
      sizes.push(body.length)
      path = /^<(\/api\/notifications\?lastEventId=[\w-]+)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1]
    }
    expect(events).toHaveLength(expected)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1_000)
    const texts = events.slice(expected - count).map(({ message }) => message.msgBody.text)
    expect(texts).toEqual(Array.from({ length: count }, (_, n) => String(n + 1)))
  }
})

test('the cursor is the present moment, for a stream and for REST', async () => {
  await alice.send(roomId, 'before')
  const { status, body } = await bob.get('/api/notifications/cursor')
  expect(status).toBe(200)
  expect(body).toEqual({ lastEventId: expect.stringMatching(/^[\w-]+$/) })
  const { body: sent } = await alice.send(roomId, 'after')
  const [event, ...more] = (await since(`lastEventId=${body.lastEventId}`)).body
  expect(event.message).toEqual(sent)
  expect(more).toEqual([])
  const stream = await bob.stream(body.lastEventId)
  expect(await stream.next(() => true)).toEqual(event)
  expectRefusal(await bob.post('/api/notifications/cursor'), 'METHOD_NOT_ALLOWED')
})
