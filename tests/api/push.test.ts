/** Who gets a push, of what, and how it looks; what muting a room stops. */
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it, test } from 'vitest'
import { holdProjection } from '../support/archive.ts'
import { eventually } from '../support/eventually.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { metricOf } from '../support/metric.ts'
import type { Person } from '../support/person.ts'
import { connect, disconnected, PushReceiver, pushed } from '../support/pushes.ts'
import { expectRefusal } from '../support/refusal.ts'

/** Gathering takes a quarter of a second; a busy machine may be late by much more. */
const AT_ONCE_MS = 4_000
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

let receiver: PushReceiver
let ism: TestIsm
beforeAll(async () => {
  receiver = await new PushReceiver().start()
  ism = await startIsm({ push: { http: { url: receiver.url, accessToken: 'push-secret' } } })
})
beforeEach(async () => {
  await pushed(ism)
  receiver.received.length = 0
})
afterAll(async () => {
  await ism.stop()
  await receiver.stop()
})

const gets = (person: Person, count: number, milliseconds = AT_ONCE_MS) =>
  eventually(`${person.name} gets ${count}`, async () => receiver.of(person).length >= count, milliseconds)

describe('a message', () => {
  it('is pushed at once to who has no stream, not to who has one, however many, and not to its sender', async () => {
    const [alice, bob, carol, dave] = await ism.people('alice', 'bob', 'carol', 'dave')
    const roomId = await alice.createRoom([bob, carol, dave], 'Tea')
    await connect(ism, carol)
    const [phone, laptop] = [await connect(ism, dave), await connect(ism, dave)]
    await pushed(ism)
    receiver.received.length = 0
    phone.close()
    const { body: message } = await alice.send(roomId, 'hello', { clientMessageId: randomUUID() })
    await gets(bob, 1)

    const [request] = receiver.received
    expect(request).toMatchObject({
      method: 'POST',
      path: '/hooks',
      headers: { authorization: 'Bearer push-secret', 'content-type': 'application/json' },
    })
    const { body: events } = await bob.get(`/api/notifications?timestamp=${message.createdAt}`)
    expect(JSON.parse(request?.body ?? '')).toEqual([{ to_user: [bob.id], notification: events[0] }])
    expect(events[0].message).toMatchObject({ messageId: message.messageId, clientMessageId: null })

    await pushed(ism)
    expect(receiver.pushes).toHaveLength(1)
    laptop.close()
  })

  it.each([
    ['all of it in one page', false],
    ['each in a page of its own', true],
  ])('is for the members of its moment: not for who had left, nor for who came later; %s', async (_, isApart) => {
    const [alice, bob, carol] = await ism.people('alice', 'bob', 'carol')
    const release = isApart ? undefined : await holdProjection(ism, 'push:http')
    const roomId = await alice.createRoom([bob], 'Tea')
    for (const step of [
      () => alice.send(roomId, 'one'),
      () => bob.post(`/api/rooms/${roomId}/leave`),
      () => alice.send(roomId, 'two'),
      () => alice.post(`/api/rooms/${roomId}/invite/${carol.id}`),
      () => alice.post(`/api/rooms/${roomId}/invite/${bob.id}`),
      () => alice.send(roomId, 'three'),
    ]) {
      expect((await step()).status).toBe(200)
      if (isApart) await pushed(ism)
    }
    await release?.()
    await pushed(ism)
    expect(receiver.wordsOf(bob)).toEqual(['NewRoom', 'one', 'NewRoom', 'three'])
    expect(receiver.wordsOf(carol)).toEqual(['NewRoom', 'three'])
    expect(receiver.wordsOf(alice)).toEqual([])
  })

  it('of a room that many are in is one object for all of them', async () => {
    const [alice, ...others] = await ism.people('alice', 'b', 'c', 'd', 'e', 'f')
    const roomId = await alice.createRoom(others, 'Tea')
    await pushed(ism)
    receiver.received.length = 0
    await alice.send(roomId, 'to all')
    await pushed(ism)
    expect(receiver.pushes.map(({ to_user }) => [...to_user].sort())).toEqual([others.map(({ id }) => id).sort()])
  })

  it('waits for who has just gone, as does all that comes for them, and comes in order within ten seconds', async () => {
    const [alice, bob, carol] = await ism.people('alice', 'bob', 'carol')
    const roomId = await alice.createRoom([bob, carol], 'Tea')
    const stream = await connect(ism, bob)
    const since = performance.now()
    await alice.send(roomId, 'seen or not')
    await gets(carol, 2)
    stream.close()
    await disconnected(ism, bob)
    await alice.send(roomId, 'not seen')
    await gets(carol, 3)
    expect(receiver.textsOf(bob)).toEqual([])
    await gets(bob, 3, 12_000)
    expect(performance.now() - since).toBeLessThan(12_000)
    expect(receiver.wordsOf(bob)).toEqual(['NewRoom', 'seen or not', 'not seen'])
  })
})

test('a new room is pushed to each as they see it, not to who made it', async () => {
  const [alice, bob] = await ism.people('alice', 'bob')
  const roomId = await alice.createRoom([bob])
  await gets(bob, 1)
  expect(receiver.of(bob)).toMatchObject([
    {
      type: 'NewRoom',
      room: { id: roomId, roomName: expect.stringMatching(/^alice/), muted: false, mutedUntil: null },
    },
  ])
  await pushed(ism)
  expect(receiver.of(alice)).toEqual([])
})

test('a friend request is pushed, its acceptance is not', async () => {
  const [alice, bob] = await ism.people('alice', 'bob')
  await alice.post(`/api/users/friends/add/${bob.id}`)
  await gets(bob, 1)
  await bob.post(`/api/users/friends/accept-request/${alice.id}`)
  await pushed(ism)
  expect(receiver.pushes).toMatchObject([
    { to_user: [bob.id], notification: { type: 'FriendRequestReceived', fromUser: { id: alice.id } } },
  ])
})

test('a SystemMessage to 10,000 is pushed to each of them once, a thousand in an object', async () => {
  const ids = Array.from({ length: 10_000 }, () => randomUUID())
  await ism.sql.query(
    `insert into app_user (id, created_at, display_name, friends_count, street_credits, raw_name, role)
    select id, now(), id, 0, 0, id::text, 'USER' from unnest($1::uuid[]) as u(id)`,
    [ids],
  )
  const appended = await ism.sql.query('select seq from append_notifications($1, $2, $3, $4, $5)', [
    [randomUUID()],
    [Buffer.from('hash')],
    ['{"message":"to all"}'],
    ids,
    ids.map(() => 1),
  ])
  expect(appended.rows).toHaveLength(1)
  await pushed(ism)
  expect(receiver.pushes.map(({ to_user }) => to_user.length)).toEqual(Array(10).fill(1_000))
  expect(receiver.pushes.flatMap(({ to_user }) => to_user).sort()).toEqual([...ids].sort())
  expect(receiver.pushes[0]?.notification).toMatchObject({ type: 'SystemMessage', message: 'to all' })
})

test('what else happens in a room is not pushed', async () => {
  const [alice, bob] = await ism.people('alice', 'bob')
  const roomId = await alice.createRoom([bob], 'Tea')
  await pushed(ism)
  receiver.received.length = 0
  await alice.post(`/api/rooms/${roomId}/mark-read`)
  await alice.post(`/api/rooms/${roomId}/leave`)
  await pushed(ism)
  expect(receiver.pushes).toEqual([])
})

describe('a muted room', () => {
  const roomOf = async (person: Person, roomId: string) => (await person.get(`/api/rooms/${roomId}`)).body

  it('is pushed no messages to who muted it, until they undo it; other rooms and streams are as before', async () => {
    const [alice, bob, carol] = await ism.people('alice', 'bob', 'carol')
    const [roomId, other] = [await alice.createRoom([bob, carol], 'Tea'), await alice.createRoom([bob], 'Cake')]
    await pushed(ism)
    receiver.received.length = 0
    expect(await bob.post(`/api/rooms/${roomId}/mute`)).toMatchObject({ status: 200, body: '' })
    expect(await roomOf(bob, roomId)).toMatchObject({ muted: true, mutedUntil: null })
    expect(await roomOf(carol, roomId)).toMatchObject({ muted: false, mutedUntil: null })
    expect((await bob.get('/api/rooms')).body.map(({ muted }: { muted: boolean }) => muted).sort()).toEqual([
      false,
      true,
    ])
    await alice.send(roomId, 'muted')
    await alice.send(other, 'heard')
    await pushed(ism)
    expect(receiver.textsOf(bob)).toEqual(['heard'])
    expect(receiver.textsOf(carol)).toEqual(['muted'])
    expect(await roomOf(bob, roomId)).toMatchObject({ unread: true, unreadCount: 1 })
    expect((await bob.get('/api/notifications?timestamp=2020-01-01T00:00:00Z')).body.at(-2)).toMatchObject({
      message: { msgBody: { text: 'muted' } },
    })

    expect(await bob.delete(`/api/rooms/${roomId}/mute`)).toMatchObject({ status: 200, body: '' })
    expect(await bob.delete(`/api/rooms/${roomId}/mute`)).toMatchObject({ status: 200, body: '' })
    expect(await roomOf(bob, roomId)).toMatchObject({ muted: false, mutedUntil: null })
    await alice.send(roomId, 'heard again')
    await pushed(ism)
    expect(receiver.textsOf(bob)).toEqual(['heard', 'heard again'])
  })

  it('is pushed nothing, either, that still waited for whether they see it when they muted it', async () => {
    const [alice, bob, carol] = await ism.people('alice', 'bob', 'carol')
    const [roomId, other] = [await alice.createRoom([bob, carol], 'Tea'), await alice.createRoom([bob], 'Cake')]
    await pushed(ism)
    receiver.received.length = 0
    const stream = await connect(ism, bob)
    await alice.send(roomId, 'muted')
    await alice.send(other, 'heard')
    await gets(carol, 1)
    stream.close()
    await disconnected(ism, bob)
    expect((await bob.post(`/api/rooms/${roomId}/mute`)).status).toBe(200)
    expect(receiver.textsOf(bob)).toEqual([])
    await pushed(ism)
    expect(receiver.textsOf(bob)).toEqual(['heard'])
  })

  it('until a time is muted until then', async () => {
    const [alice, bob] = await ism.people('alice', 'bob')
    const roomId = await alice.createRoom([bob], 'Tea')
    await pushed(ism)
    const release = await holdProjection(ism, 'push:http')
    const until = new Date(Date.now() + 3_000)
    expect((await bob.post(`/api/rooms/${roomId}/mute`, { until })).status).toBe(200)
    expect(await roomOf(bob, roomId)).toMatchObject({ muted: true, mutedUntil: until.toISOString() })
    await alice.send(roomId, 'before')
    await eventually('it is over', async () => !(await roomOf(bob, roomId)).muted)
    expect(await roomOf(bob, roomId)).toMatchObject({ mutedUntil: null })
    await alice.send(roomId, 'after')
    await release()
    await pushed(ism)
    expect(receiver.wordsOf(bob)).toEqual(['NewRoom', 'after'])
    // Another time replaces it, and without one it is until undone.
    const later = new Date(Date.now() + 60_000).toISOString()
    await bob.post(`/api/rooms/${roomId}/mute`, { until: later })
    expect((await roomOf(bob, roomId)).mutedUntil).toMatch(TIME)
    await bob.post(`/api/rooms/${roomId}/mute`, { until: '9999-12-31T23:59:59-01:00' })
    expect((await roomOf(bob, roomId)).mutedUntil).toMatch(TIME)
    await bob.post(`/api/rooms/${roomId}/mute`, { until: null })
    expect(await roomOf(bob, roomId)).toMatchObject({ muted: true, mutedUntil: null })
  })

  it('is forgotten by leaving', async () => {
    const [alice, bob] = await ism.people('alice', 'bob')
    const roomId = await alice.createRoom([bob], 'Tea')
    await bob.post(`/api/rooms/${roomId}/mute`)
    await bob.post(`/api/rooms/${roomId}/leave`)
    await alice.post(`/api/rooms/${roomId}/invite/${bob.id}`)
    expect(await roomOf(bob, roomId)).toMatchObject({ muted: false })
  })

  it('is a matter of its members, and of times to come', async () => {
    const [alice, bob, stranger] = await ism.people('alice', 'bob', 'stranger')
    const roomId = await alice.createRoom([bob], 'Tea')
    const path = `/api/rooms/${roomId}/mute`
    expectRefusal(await stranger.post(path), 'INSUFFICIENT_PERMISSIONS')
    expectRefusal(await stranger.delete(path), 'INSUFFICIENT_PERMISSIONS')
    expectRefusal(await bob.post(`/api/rooms/${randomUUID()}/mute`), 'CONTENT_NOT_FOUND')
    expectRefusal(await bob.delete(`/api/rooms/${randomUUID()}/mute`), 'CONTENT_NOT_FOUND')
    expectRefusal(await bob.post('/api/rooms/nonsense/mute'), 'VALIDATION_ERROR')
    for (const until of [new Date(Date.now() - 1_000).toISOString(), 'tomorrow', 5, true])
      expectRefusal(await bob.post(path, { until }), 'VALIDATION_ERROR')
    expectRefusal(await bob.post(path, ['until']), 'VALIDATION_ERROR')
    expect((await bob.get(path)).status).toBe(405)
    await bob.post(`/api/rooms/${roomId}/leave`)
    expectRefusal(await bob.post(path), 'INSUFFICIENT_PERMISSIONS')
  })
})

test('who is deleted gets none, whether they had no stream or were waited for', async () => {
  const [alice, bob, carol, dave] = await ism.people('alice', 'bob', 'carol', 'dave')
  const roomId = await alice.createRoom([bob, carol, dave], 'Tea')
  const stream = await connect(ism, carol)
  await alice.send(roomId, 'one')
  await gets(bob, 2)
  stream.close()
  await disconnected(ism, carol)
  await ism.sql.query('update app_user set deleted_at = now() where id = any($1)', [[bob.id, carol.id]])
  await alice.send(roomId, 'two')
  await gets(dave, 3)
  await pushed(ism)
  expect(receiver.textsOf(dave)).toEqual(['one', 'two'])
  expect(receiver.textsOf(bob)).toEqual(['one'])
  expect(receiver.textsOf(carol)).toEqual([])
})

test('sending asks the database nothing more, and a page of the log is looked at once for all of its people', async () => {
  const [alice, ...others] = await ism.people('alice', ...Array.from({ length: 50 }, (_, n) => `member ${n}`))
  const rooms = await Promise.all([1, 2, 3].map((n) => (alice as Person).createRoom(others, `Room ${n}`)))
  await pushed(ism)
  const asked = (name: string) => metricOf(ism, 'ism_postgres_queries_total', { name })
  const names = ['push.leases', 'push.memberships', 'push.muted'] as const
  const before = await Promise.all(names.map(asked))
  const since = performance.now()
  await Promise.all(Array.from({ length: 300 }, (_, n) => (alice as Person).send(rooms[n % 3] ?? '', `message ${n}`)))
  await pushed(ism)
  const after = await Promise.all(names.map(asked))
  // A page gathers for a quarter of a second: on a busy machine, where sending takes long, there are more of them.
  const pages = 10 + (performance.now() - since) / 250
  for (const [index, name] of names.entries())
    expect((after[index] ?? 0) - (before[index] ?? 0), name).toBeLessThan(pages)
  expect(receiver.of(others[0] as Person).filter(({ type }) => type === 'ChatMessage')).toHaveLength(300)
})

test('a database that was away, and has forgotten who is connected, makes nobody get what they have seen', async () => {
  const [alice, bob, carol] = await ism.people('alice', 'bob', 'carol')
  const roomId = await alice.createRoom([bob, carol], 'Tea')
  await connect(ism, bob)
  await pushed(ism)
  receiver.received.length = 0
  const superuser = new pg.Client({ ...inject('postgres'), database: 'postgres' })
  await superuser.connect()
  const { database } = ism.config.postgres
  await ism.sql.query('truncate node, presence')
  await superuser.query(`alter database ${database} allow_connections false`)
  await superuser.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [database])
  await eventually('ISM says so', async () => (await fetch(`${ism.url}/health/ready`)).status === 503)
  await superuser.query(`alter database ${database} allow_connections true`)
  await superuser.end()
  await eventually('it is sent', async () => (await alice.send(roomId, 'hello')).status === 200)
  await gets(carol, 1, 12_000)
  await pushed(ism)
  expect(receiver.wordsOf(carol)).toEqual(['hello'])
  expect(receiver.wordsOf(bob)).toEqual([])
}, 60_000)
