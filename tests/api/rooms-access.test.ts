/** Who may call what about a room: outsiders, people who left, unknown and malformed ids, wrong methods, no token. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Answer, Person } from '../support/person.ts'
import { expectRefusal } from '../support/refusal.ts'

type Call = { method: string; path: string; body?: unknown; allow: string; hidden?: true }

/** Every call about one room; to others, some of them are as if the room did not exist. */
const CALLS: Call[] = [
  { method: 'GET', path: '', allow: 'HEAD, GET', hidden: true },
  { method: 'GET', path: '/detailed', allow: 'HEAD, GET', hidden: true },
  { method: 'GET', path: '/users', allow: 'HEAD, GET' },
  { method: 'GET', path: '/timeline?timestamp=2999-01-01T00:00:00Z', allow: 'HEAD, GET' },
  { method: 'GET', path: '/read-states', allow: 'HEAD, GET' },
  { method: 'POST', path: '/mark-read', allow: 'POST' },
  { method: 'POST', path: '/mark-read', body: { roomSeq: 1 }, allow: 'POST' },
  { method: 'POST', path: `/invite/${randomUUID()}`, allow: 'POST' },
  { method: 'POST', path: '/upload-img', allow: 'POST' },
  { method: 'POST', path: '/leave', allow: 'POST' },
]

let ism: TestIsm
let alice: Person
let outsider: Person
let former: Person
let roomId: string

beforeAll(async () => {
  ism = await startIsm()
  let bob: Person
  ;[alice, bob, outsider, former] = await ism.people('alice', 'bob', 'outsider', 'former')
  roomId = await alice.createRoom([bob, former], 'Cooks')
  await alice.send(roomId, 'Not for everybody')
  await former.post(`/api/rooms/${roomId}/leave`)
})
afterAll(() => ism.stop())

const call = (person: Person, { method, path, body }: Call, room: string): Promise<Answer> =>
  person.call(method, `/api/rooms/${room}${path}`, body)

describe.each(CALLS)('$method /api/rooms/{id}$path', (about) => {
  test('refuses an outsider and who left', async () => {
    const [code, message] = about.hidden
      ? (['CONTENT_NOT_FOUND', 'Room not found.'] as const)
      : (['INSUFFICIENT_PERMISSIONS', 'You are not a member of this room.'] as const)
    expectRefusal(await call(outsider, about, roomId), code, message)
    expectRefusal(await call(former, about, roomId), code, message)
  })

  test('refuses an unknown room', async () => {
    expectRefusal(await call(alice, about, randomUUID()), 'CONTENT_NOT_FOUND', 'Room not found.')
  })

  test.each(['not-a-uuid', '1', `${randomUUID()}0`, '%00', '%F0%9F%A4%97'])('refuses the id %s', async (id) => {
    expectRefusal(await call(alice, about, id), 'VALIDATION_ERROR', 'room_id: must be a UUID')
  })

  test('refuses a path that is not properly encoded', async () => {
    const { status, body } = await call(alice, about, '%E0%A4')
    expect([status, body.errorCode]).toEqual([400, 'VALIDATION_ERROR'])
  })

  test('asks for a token, and says no more', async () => {
    const response = await fetch(`${ism.url}/api/rooms/${roomId}${about.path}`, { method: about.method })
    const answer = { status: response.status, headers: response.headers, body: await response.json() }
    expectRefusal(answer, 'UNAUTHENTICATED', 'A valid bearer token is required.')
    expect(answer.headers.get('www-authenticate')).toBe('Bearer')
  })

  test('refuses another method', async () => {
    const answer = await alice.call('PUT', `/api/rooms/${roomId}${about.path}`)
    expectRefusal(answer, 'METHOD_NOT_ALLOWED')
    expect(answer.headers.get('allow')).toBe(about.allow)
  })
})

test('nothing of what was refused happened', async () => {
  expect((await alice.get(`/api/rooms/${roomId}/users`)).body).toHaveLength(3)
  expect((await alice.timeline(roomId)).map(({ msgType }) => msgType)).toEqual(['RoomChange', 'Text'])
})

test('ids in upper case are the same ids', async () => {
  const upper = roomId.toUpperCase()
  expect((await alice.get(`/api/rooms/${upper}`)).body.id).toBe(roomId)
  expect((await alice.get(`/api/rooms/${upper}/detailed`)).body.id).toBe(roomId)
  expect((await alice.get(`/api/rooms/${upper}/users`)).body).toHaveLength(3)
  expect((await alice.get(`/api/rooms/${upper}/read-states`)).status).toBe(200)
  expect((await alice.get(`/api/rooms/${upper}/timeline?timestamp=2999-01-01T00:00:00Z`)).body).toHaveLength(2)
  expect((await alice.post(`/api/rooms/${upper}/mark-read`)).status).toBe(200)
  expect((await alice.post(`/api/rooms/${upper}/invite/${outsider.id.toUpperCase()}`)).status).toBe(200)
  expect((await outsider.post(`/api/rooms/${upper}/leave`)).status).toBe(200)
  expect((await alice.get('/api/rooms')).body.map(({ id }: { id: string }) => id)).toEqual([roomId])
})

test.each([
  '',
  '?timestamp=',
  '?timestamp=yesterday',
  '?timestamp=2026-02-30T00:00:00Z',
  '?timestamp=2026-01-01T00:00:00',
  '?timestamp=2026-01-01T00:00:00Z&timestamp=2026-01-01T00:00:00Z',
])('a timeline refuses the query "%s"', async (query) => {
  expectRefusal(
    await alice.get(`/api/rooms/${roomId}/timeline${query}`),
    'VALIDATION_ERROR',
    'timestamp: must be an RFC 3339 time, such as 2026-01-31T12:00:00.000Z',
  )
})
