/** Counts the statements that a request sends to PostgreSQL: none of them grows with what there is to list. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { archived } from '../support/archive.ts'
import type { EventStream } from '../support/event-stream.ts'
import { eventually } from '../support/eventually.ts'
import { appendSystemMessage } from '../support/hearing.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { waitingForLog } from '../support/log-lock.ts'
import { appendMany } from '../support/many-messages.ts'
import type { Answer, Person } from '../support/person.ts'
import { waitingForLocks } from '../support/waiting.ts'

const TOKEN = 'metrics-token'
/** What goes on beside requests: the tail, the archive, maintenance. */
const BACKGROUND =
  /^(log\.(read|state)|projections\..*|dead-deliveries\.count|(?:tickets|notifications)\.delete-old.*|nodes\..*|messages\.store|retention\..*|images\.garbage)$/

let ism: TestIsm
let alice: Person
let bob: Person
let crowd: string[]

beforeAll(async () => {
  ism = await startIsm({ metrics: { token: TOKEN } })
  const { rows } = await ism.sql.query(
    `insert into app_user (id, created_at, display_name, raw_name, friends_count, street_credits, role)
    select gen_random_uuid(), now(), 'crowd ' || n, 'crowd ' || n, 0, 0, 'USER' from generate_series(1, 100) n returning id`,
  )
  crowd = rows.map(({ id }) => id)
})
afterAll(() => ism.stop())
beforeEach(async () => {
  const round = Math.random().toString(36).slice(2)
  ;[alice, bob] = await ism.people(`alice ${round}`, `bob ${round}`)
})

async function metric(pattern: RegExp): Promise<[string, number][]> {
  const response = await fetch(`${ism.url}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } })
  const text = await response.text()
  return [...text.matchAll(pattern)].map(([, name = '', value]) => [name, Number(value)])
}
const counts = async () => new Map(await metric(/^ism_postgres_queries_total\{name="([^"]+)"\} (\d+)$/gm))

/** The statements by name that `action` sends, which succeeds. */
async function queriesOf(action: () => Promise<Answer | Answer[]>): Promise<Record<string, number>> {
  const before = await counts()
  for (const answer of [await action()].flat()) expect(answer.status).toBe(200)
  const sent = [...(await counts())].map(([name, count]) => [name, count - (before.get(name) ?? 0)] as const)
  return Object.fromEntries(sent.filter(([name, count]) => count > 0 && !BACKGROUND.test(name)))
}

const group = (invitedUsers: string[]) =>
  alice.post('/api/rooms/create-room', {
    roomType: 'Group',
    roomName: 'Cooks',
    invitedUsers: [alice.id, ...invitedUsers],
  })
const groupId = async (invitedUsers: string[]) => (await group(invitedUsers)).body.id as string

test('a list of rooms is one query, whatever their number', async () => {
  for (const rooms of [1, 29]) {
    for (let n = 0; n < rooms; n++) await alice.send(await groupId([bob.id]), 'Hello')
    expect(await queriesOf(() => alice.get('/api/rooms'))).toEqual({ 'rooms.list': 1 })
  }
  expect((await alice.get('/api/rooms')).body).toHaveLength(30)
})

describe.each([1, 100])('in a room with %i other members and messages', (size) => {
  let roomId: string
  beforeEach(async () => {
    roomId = await groupId(crowd.slice(0, size - 1).concat(bob.id))
    await appendMany(ism.sql, roomId, alice.id, size)
    await archived(ism)
  })
  const get = (call: string) => () => alice.get(`/api/rooms/${roomId}${call}`)
  const post =
    (call: string, person = alice) =>
    () =>
      person.post(`/api/rooms/${roomId}${call}`)

  test('nothing that is read takes more', async () => {
    expect(await queriesOf(get(''))).toEqual({ 'rooms.find': 1 })
    expect(await queriesOf(get('/detailed'))).toEqual({ 'rooms.find': 1, 'rooms.members': 1 })
    expect(await queriesOf(get('/users'))).toEqual({ 'rooms.access': 1, 'rooms.members': 1 })
    expect(await queriesOf(get('/read-states'))).toEqual({ 'rooms.access': 1, 'rooms.readers': 1 })
    expect(await queriesOf(get('/timeline?timestamp=2999-01-01T00:00:00Z'))).toEqual({
      'messages.access': 1,
      'messages.page-of-log': 1,
      'messages.page': 1,
    })
    expect(await queriesOf(() => bob.get('/api/notifications?timestamp=2020-01-01T00:00:00Z'))).toEqual({
      'log.seq-before': 1,
      'log.read-of': 1,
    })
  })

  test('a send is one call, and nothing else', async () => {
    expect(await queriesOf(() => alice.send(roomId, 'Hello'))).toEqual({ 'log.append-sends': 1 })
  })

  test('marking as read with nothing to mark is one query', async () => {
    expect(await queriesOf(post('/mark-read'))).toEqual({ 'rooms.read-state': 1 })
    expect(await queriesOf(post('/mark-read', bob))).toMatchObject({ 'rooms.save-read': 1, 'log.append-event': 1 })
  })

  test('coming and going takes the same', async () => {
    const [guest] = await ism.people(`guest ${Math.random()}`)
    const invited = await queriesOf(post(`/invite/${guest.id}`))
    expect(invited).toMatchObject({ 'log.append-event': 2, 'rooms.join': 1, 'rooms.open-memberships': 1 })
    expect(Object.values(invited).every((count) => count <= 2)).toBe(true)
    const left = await queriesOf(post('/leave', guest))
    expect(left).toMatchObject({ 'log.append-event': 2, 'rooms.leave': 1 })
    expect(Object.values(left).every((count) => count <= 2)).toBe(true)
  })

  test('making one takes the same', async () => {
    expect(await queriesOf(() => group(crowd.slice(0, size)))).toEqual({
      execute: 2,
      'log.time': 1,
      'rooms.guests': 1,
      'relationships.blocked': 1,
      'rooms.insert': 1,
      'log.append-event': 1,
      'rooms.open-memberships': 1,
    })
  })
})

test('sends that come while the log is busy share their calls', async () => {
  const roomId = await groupId([bob.id])
  const batches = async () => Object.fromEntries(await metric(/^ism_append_batch_size_(count|sum) (\d+)$/gm))
  const before = await batches()
  const busy = await ism.sql.connect()
  await busy.query('begin; select lock_log()')
  const sending = queriesOf(() => Promise.all(Array.from({ length: 64 }, (_, n) => alice.send(roomId, `${n}`))))
  await eventually('one of them waits for it', async () => (await waitingForLog(ism.sql)) === 1)
  await busy.query('commit')
  busy.release()
  const sent = await sending
  const after = await batches()
  expect(sent).toEqual({ 'log.append-sends': (after['count'] ?? 0) - (before['count'] ?? 0) })
  expect((after['sum'] ?? 0) - (before['sum'] ?? 0)).toBe(64)
  expect(sent['log.append-sends']).toBeLessThan(64)
})

test('an event for many streams is read once', async () => {
  const people = await ism.people(...Array.from({ length: 20 }, (_, n) => `listener ${n} ${Math.random()}`))
  const roomId = await groupId(people.map(({ id }) => id))
  const streams = await Promise.all(people.map((person) => person.stream()))
  const say = async () => {
    const answer = await alice.send(roomId, 'Hello, everybody')
    for (const stream of streams) await stream.next(({ message }) => message?.messageId === answer.body.messageId)
    return answer
  }
  // Whoever has had an event is live.
  await say()
  const sent = await queriesOf(say)
  expect(sent).toEqual({ 'log.append-sends': 1 })
})

test('people are searched, and friends listed, in one query', async () => {
  expect(await queriesOf(() => alice.get('/api/users/search?username=crowd%2042'))).toEqual({ 'users.search': 1 })
  expect(await queriesOf(() => alice.get('/api/users/search?username=crowd'))).toEqual({ 'users.search': 1 })
  expect(await queriesOf(() => alice.get(`/api/users/${bob.id}`))).toEqual({ 'users.find-with-pair': 1 })
  for (const id of crowd.slice(0, 10)) await alice.post(`/api/users/friends/add/${id}`)
  await ism.sql.query(`update user_relationship set state = 'FRIEND' where $1 in (user_a_id, user_b_id)`, [alice.id])
  expect(await queriesOf(() => alice.get('/api/users/friends'))).toEqual({ 'relationships.friends': 1 })
  expect((await alice.get('/api/users/friends')).body).toHaveLength(10)
  expect(await queriesOf(() => alice.get('/api/users/friends/requests'))).toEqual({ 'relationships.requests': 1 })
})

test('a known person is not looked up again', async () => {
  expect(await queriesOf(() => alice.get('/api/notifications/cursor'))).toEqual({})
})

test('streams that come while others open share their queries', async () => {
  const people = await ism.people(...Array.from({ length: 30 }, (_, n) => `together ${n} ${Math.random()}`))
  const tickets = await Promise.all(people.map((person) => person.ticket()))
  const live = Math.random()
  const holder = await ism.sql.connect()
  await holder.query('begin; lock table stream_ticket in access exclusive mode')
  const sent = await queriesOf(async () => {
    const opening = people.map((person, n) => person.source(`?ticket=${tickets[n]}`))
    const waiting = () => waitingForLocks(ism.sql, 'stream_ticket')
    await eventually('they wait for the table, together', async () => (await waiting()) === 1)
    await bob.get('/api/notifications/cursor')
    await holder.query('commit')
    const streams = await Promise.all(opening)
    await appendSystemMessage(ism, people, live)
    for (const stream of streams) await stream.next(({ message }) => message === live)
    return alice.get('/api/notifications/cursor')
  })
  holder.release()
  expect(Object.keys(sent).sort()).toEqual(['log.memberships', 'tickets.use'])
  for (const count of Object.values(sent)) expect(count).toBeLessThan(15)
})

test('a stream opens with one query, by a ticket with two, and with one less where the person has another', async () => {
  const opened = (open: () => Promise<EventStream>) =>
    queriesOf(async () => {
      const stream = await open()
      const live = Math.random()
      await appendSystemMessage(ism, [alice], live)
      await stream.next(({ message }) => message === live)
      return alice.get('/api/notifications/cursor')
    })
  expect(await opened(() => alice.stream())).toEqual({ 'log.memberships': 1 })
  expect(await opened(() => alice.stream())).toEqual({})
  const ticket = await bob.ticket()
  ;[alice, bob] = [bob, alice]
  expect(await opened(() => alice.source(`?ticket=${ticket}`))).toEqual({ 'tickets.use': 1, 'log.memberships': 1 })
  const { lastEventId } = await alice.stream()
  expect(await opened(() => alice.source(`?ticket=${ticket}`, lastEventId))).toEqual({ 'tickets.use': 1 })
})
