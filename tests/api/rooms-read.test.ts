/** Read states: what is unread, who has read everything, and marking as read. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Person } from '../support/person.ts'
import { expectRefusal } from '../support/refusal.ts'

let ism: TestIsm
let round = 0
let alice: Person
let bob: Person
let carol: Person
let roomId: string

beforeAll(async () => {
  ism = await startIsm()
})
afterAll(() => ism.stop())
beforeEach(async () => {
  round++
  ;[alice, bob, carol] = await ism.people(`alice ${round}`, `bob ${round}`, `carol ${round}`)
  roomId = await alice.createRoom([bob, carol], 'Cooks')
})

const markRead = (person: Person, body?: unknown) => person.post(`/api/rooms/${roomId}/mark-read`, body)
const unread = async (person: Person) => {
  const { unread, unreadCount } = (await person.get(`/api/rooms/${roomId}`)).body
  const listed = (await person.get('/api/rooms')).body.find(({ id }: { id: string }) => id === roomId)
  expect({ unread: listed.unread, unreadCount: listed.unreadCount }).toEqual({ unread, unreadCount })
  return [unread, unreadCount]
}
const readers = async () =>
  (await alice.get(`/api/rooms/${roomId}/read-states`)).body.map(({ id }: { id: string }) => id).sort()
const ids = (...people: Person[]) => people.map(({ id }) => id).sort()
/** Who was told to have read up to where, so far. */
async function readEvents(): Promise<unknown[]> {
  const { body } = await alice.get('/api/notifications?timestamp=1970-01-02T00:00:00Z')
  return body
    .filter(({ type, roomId: id }: { type: string; roomId?: string }) => type === 'UserReadChat' && id === roomId)
    .map(({ userId, roomSeq }: { userId: string; roomSeq: number }) => ({ userId, roomSeq }))
}

test('nobody has read a new room, and it is unread without a message', async () => {
  for (const person of [alice, bob, carol]) expect(await unread(person)).toEqual([true, 0])
  expect(await readers()).toEqual([])
})

test('an empty room can be marked as read', async () => {
  expect((await markRead(bob)).status).toBe(200)
  expect(await unread(bob)).toEqual([false, 0])
  expect(await readers()).toEqual([bob.id])
  expect(await readEvents()).toEqual([{ userId: bob.id, roomSeq: 0 }])
})

test('sending reads everything, and is unread to the others', async () => {
  await alice.send(roomId, 'one')
  await alice.send(roomId, 'two')
  expect(await unread(alice)).toEqual([false, 0])
  expect(await unread(bob)).toEqual([true, 2])
  expect(await readers()).toEqual([alice.id])
  await bob.send(roomId, 'three')
  expect(await unread(bob)).toEqual([false, 0])
  expect(await unread(alice)).toEqual([true, 1])
  expect(await readers()).toEqual([bob.id])
  expect(await readEvents()).toEqual([])
})

test('a reader is shown as a member with the time of reading', async () => {
  const { body: sent } = await alice.send(roomId, 'one')
  const { status, body } = await bob.get(`/api/rooms/${roomId}/read-states`)
  expect(status).toBe(200)
  const [member] = (await bob.get(`/api/rooms/${roomId}/users`)).body.filter(({ id }: Person) => id === alice.id)
  expect(body).toEqual([
    {
      id: alice.id,
      displayName: alice.name,
      profilePicture: null,
      joinedAt: member.joinedAt,
      lastMessageReadAt: sent.createdAt,
      membershipStatus: 'Joined',
    },
  ])
  expect(member).toEqual(body[0])
})

test('marking as read reads everything, and tells it once', async () => {
  await alice.send(roomId, 'one')
  await alice.send(roomId, 'two')
  const { status, body } = await markRead(bob)
  expect([status, body]).toEqual([200, ''])
  expect(await unread(bob)).toEqual([false, 0])
  expect(await unread(carol)).toEqual([true, 2])
  expect(await readers()).toEqual(ids(alice, bob))
  await markRead(bob)
  await markRead(bob, {})
  await markRead(bob, { roomSeq: 2 })
  expect(await readEvents()).toEqual([{ userId: bob.id, roomSeq: 2 }])
})

test('marking up to a message leaves the later ones, and never goes back', async () => {
  for (const text of ['one', 'two', 'three']) await alice.send(roomId, text)
  await markRead(bob, { roomSeq: 2 })
  expect(await unread(bob)).toEqual([true, 1])
  expect(await readers()).toEqual([alice.id])
  await markRead(bob, { roomSeq: 1 })
  await markRead(bob, { roomSeq: 0 })
  expect(await unread(bob)).toEqual([true, 1])
  await markRead(bob, { roomSeq: 3 })
  expect(await unread(bob)).toEqual([false, 0])
  expect(await readEvents()).toEqual([
    { userId: bob.id, roomSeq: 2 },
    { userId: bob.id, roomSeq: 3 },
  ])
})

test('marking beyond the newest message does not read what is still to come', async () => {
  await alice.send(roomId, 'one')
  await markRead(bob, { roomSeq: 100 })
  expect(await readEvents()).toEqual([{ userId: bob.id, roomSeq: 1 }])
  await alice.send(roomId, 'two')
  expect(await unread(bob)).toEqual([true, 1])
})

test('the sender has nothing to mark', async () => {
  await alice.send(roomId, 'one')
  await markRead(alice)
  expect(await readEvents()).toEqual([])
})

test('marking as read at once tells it once', async () => {
  await alice.send(roomId, 'one')
  const answers = await Promise.all([markRead(bob), markRead(bob), markRead(bob), markRead(bob, { roomSeq: 1 })])
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
  expect(await readEvents()).toEqual([{ userId: bob.id, roomSeq: 1 }])
})

test('who left is no reader, and their going is unread to the others', async () => {
  await alice.send(roomId, 'one')
  await markRead(bob)
  await carol.post(`/api/rooms/${roomId}/leave`)
  expect(await readers()).toEqual([])
  await markRead(alice)
  expect(await readers()).toEqual([alice.id])
  await bob.send(roomId, 'two')
  await bob.post(`/api/rooms/${roomId}/leave`)
  expect(await unread(alice)).toEqual([true, 2])
  expect(await readers()).toEqual([])
})

test('who joins has their own JOIN unread, whatever was said before', async () => {
  const [dave] = await ism.people(`dave ${round}`)
  for (const text of ['one', 'two', 'three']) await alice.send(roomId, text)
  await alice.post(`/api/rooms/${roomId}/invite/${dave.id}`)
  expect(await unread(dave)).toEqual([true, 1])
  await markRead(dave)
  expect(await unread(dave)).toEqual([false, 0])
  expect(await readEvents()).toEqual([{ userId: dave.id, roomSeq: 4 }])
})

test('who joins cannot unread what was said before', async () => {
  const [dave] = await ism.people(`dave ${round}`)
  for (const text of ['one', 'two', 'three']) await alice.send(roomId, text)
  await alice.post(`/api/rooms/${roomId}/invite/${dave.id}`)
  await markRead(dave, { roomSeq: 1 })
  expect(await unread(dave)).toEqual([true, 1])
  expect(await readEvents()).toEqual([{ userId: dave.id, roomSeq: 3 }])
})

describe('mark-read', () => {
  const whole: [string, string | undefined][] = [
    ['nothing', undefined],
    ['null', 'null'],
    ['an object', '{}'],
    ['a null', '{"roomSeq":null}'],
    ['another field', '{"at":5}'],
  ]
  test.each(whole)('takes %s for everything', async (_, body) => {
    await alice.send(roomId, 'one')
    const headers = body === undefined ? {} : { 'content-type': 'application/json' }
    expect((await bob.raw('POST', `/api/rooms/${roomId}/mark-read`, body, headers)).status).toBe(200)
    expect(await unread(bob)).toEqual([false, 0])
  })

  test.each([
    ['{"roomSeq":-1}', 'roomSeq: must be >= 0'],
    ['{"roomSeq":1.5}', 'roomSeq: must be integer'],
    ['{"roomSeq":"1"}', 'roomSeq: must be integer'],
    ['{"roomSeq":1e17}', 'roomSeq: must be <= 9007199254740991'],
    ['[]', 'body: must be object'],
    ['7', 'body: must be object'],
    ['{"roomSeq":', 'The body is not valid JSON.'],
  ])('refuses %s', async (body, message) => {
    const headers = { 'content-type': 'application/json' }
    const answer = await bob.raw('POST', `/api/rooms/${roomId}/mark-read`, body, headers)
    expectRefusal(answer, 'VALIDATION_ERROR', message)
    expect(await readEvents()).toEqual([])
  })
})
