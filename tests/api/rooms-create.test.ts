/** Making rooms: what is answered, who gets in, and each reason to refuse. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Person } from '../support/person.ts'
import { expectRefusal } from '../support/refusal.ts'

const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
const UUID = expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
const PATH = '/api/rooms/create-room'

let ism: TestIsm
let alice: Person
let bob: Person
let carol: Person
let names = 0

beforeAll(async () => {
  ism = await startIsm()
  ;[alice, bob, carol] = await ism.people('alice', 'bob', 'carol')
})
afterAll(() => ism.stop())

const create = (person: Person, body: unknown) => person.post(PATH, body)
const group = (more: Record<string, unknown> = {}) => ({
  roomType: 'Group',
  roomName: 'Cooks',
  invitedUsers: [alice.id, bob.id],
  ...more,
})
/** People whom nobody has a room with yet. */
const strangers = <const Count extends 2 | 3>(count: Count) => {
  const people = Array.from({ length: count }, () => `stranger-${++names}`)
  return ism.people(...people) as unknown as Promise<Count extends 2 ? [Person, Person] : [Person, Person, Person]>
}

describe('a new room', () => {
  test('of two is answered as the creator sees it', async () => {
    const [one, other] = await strangers(2)
    await ism.sql.query('update app_user set profile_picture = $2 where id = $1', [other.id, 'https://pictures/other'])
    const { status, body } = await create(one, { roomType: 'Single', invitedUsers: [one.id, other.id] })
    expect(status).toBe(200)
    const room = {
      id: UUID,
      roomType: 'Single',
      roomName: other.name,
      roomImageUrl: 'https://pictures/other',
      createdAt: TIME,
      latestMessage: body.createdAt,
      unread: true,
      unreadCount: 0,
      muted: false,
      mutedUntil: null,
      latestMessagePreviewText: { type: 'New' },
    }
    expect(body).toEqual(room)
    expect((await one.get('/api/rooms')).body).toEqual([body])
    expect((await one.get(`/api/rooms/${body.id}`)).body).toEqual(body)
    expect((await other.get('/api/rooms')).body).toEqual([{ ...body, roomName: one.name, roomImageUrl: null }])
    expect(await one.timeline(body.id)).toEqual([])
  })

  test('of more is a Group with its name', async () => {
    const { status, body } = await create(alice, group({ invitedUsers: [carol.id, alice.id, bob.id] }))
    expect(status).toBe(200)
    expect(body).toEqual({
      id: UUID,
      roomType: 'Group',
      roomName: 'Cooks',
      roomImageUrl: null,
      createdAt: TIME,
      latestMessage: body.createdAt,
      unread: true,
      unreadCount: 0,
      muted: false,
      mutedUntil: null,
      latestMessagePreviewText: { type: 'New' },
    })
    expect((await carol.get(`/api/rooms/${body.id}`)).body).toEqual(body)

    const members = [alice, bob, carol]
      .map(({ id, name }) => ({
        id,
        displayName: name,
        profilePicture: null,
        joinedAt: body.createdAt,
        lastMessageReadAt: null,
        membershipStatus: 'Joined',
      }))
      .sort((one, other) => (one.id < other.id ? -1 : 1))
    expect((await bob.get(`/api/rooms/${body.id}/users`)).body).toEqual(members)
    expect((await bob.get(`/api/rooms/${body.id}/detailed`)).body).toEqual({ ...body, users: members })
    expect((await bob.get(`/api/rooms/${body.id}/read-states`)).body).toEqual([])
  })

  test('ignores unknown fields, counts duplicates once, and takes ids in any case', async () => {
    const [one, other] = await strangers(2)
    const { status, body } = await create(one, {
      roomType: 'Single',
      roomName: null,
      colour: 'red',
      invitedUsers: [one.id, other.id, one.id.toUpperCase(), other.id.toUpperCase(), other.id],
    })
    expect(status).toBe(200)
    expect((await one.get(`/api/rooms/${body.id}/users`)).body).toHaveLength(2)
  })

  test('a name for two is taken and has no effect', async () => {
    const [one, other] = await strangers(2)
    const { body } = await create(one, { roomType: 'Single', roomName: 'Us', invitedUsers: [one.id, other.id] })
    expect(body.roomName).toBe(other.name)
  })

  test.each([
    ['trimmed', '  Cooks\n', 'Cooks'],
    ['one character', 'C', 'C'],
    ['255 characters', 'n'.repeat(255), 'n'.repeat(255)],
    ['255 characters of two UTF-16 units', '🤗'.repeat(255), '🤗'.repeat(255)],
    ['255 characters between spaces', ` ${'n'.repeat(255)} `, 'n'.repeat(255)],
  ])('takes a name: %s', async (_, roomName, shown) => {
    expect((await create(alice, group({ roomName }))).body.roomName).toBe(shown)
  })
})

describe('who is let in', () => {
  test('a Group goes without those in a block with the creator, whoever blocked', async () => {
    const [one, blocked, blocking] = await strangers(3)
    await one.post(`/api/users/ignore/${blocked.id}`)
    await blocking.post(`/api/users/ignore/${one.id}`)
    const invitedUsers = [one.id, blocked.id, blocking.id, alice.id]
    const { body } = await create(one, { roomType: 'Group', roomName: 'Some', invitedUsers })
    const users = (await one.get(`/api/rooms/${body.id}/users`)).body.map(({ id }: { id: string }) => id)
    expect(new Set(users)).toEqual(new Set([one.id, alice.id]))
    expect((await blocked.get('/api/rooms')).body).toEqual([])
    expect((await blocking.get('/api/rooms')).body).toEqual([])
  })

  test('a block between two guests keeps neither out', async () => {
    const [one, other] = await strangers(2)
    await one.post(`/api/users/ignore/${other.id}`)
    const { body } = await create(alice, group({ invitedUsers: [alice.id, one.id, other.id] }))
    expect((await alice.get(`/api/rooms/${body.id}/users`)).body).toHaveLength(3)
  })

  test('three are two where one of them is in a block', async () => {
    const [one, other, blocked] = await strangers(3)
    await one.post(`/api/users/ignore/${blocked.id}`)
    const body = { roomType: 'Single', invitedUsers: [one.id, other.id, blocked.id] }
    expect((await create(one, body)).body.roomName).toBe(other.name)
  })

  test('nobody is left to talk to', async () => {
    const [one, blocked] = await strangers(2)
    await one.post(`/api/users/ignore/${blocked.id}`)
    const invitedUsers = [one.id, blocked.id]
    const single = 'invitedUsers: a Single room needs exactly two users, neither of whom blocked the other'
    const few = 'invitedUsers: a Group needs at least two users, of whom none is in a block with you'
    expectRefusal(await create(one, { roomType: 'Single', invitedUsers }), 'VALIDATION_ERROR', single)
    expectRefusal(await create(one, { roomType: 'Group', roomName: 'G', invitedUsers }), 'VALIDATION_ERROR', few)
    const other = [blocked.id, one.id]
    expectRefusal(await create(blocked, { roomType: 'Single', invitedUsers: other }), 'VALIDATION_ERROR', single)
  })

  test('one Single room of two people, also where both open it at once', async () => {
    const [one, other] = await strangers(2)
    const body = { roomType: 'Single', invitedUsers: [one.id, other.id] }
    const answers = await Promise.all([create(one, body), create(other, body), create(one, body)])
    const refused = answers.filter(({ status }) => status !== 200)
    expect(refused).toHaveLength(2)
    for (const answer of refused)
      expectRefusal(answer, 'VALIDATION_ERROR', 'invitedUsers: there is a Single room of the two already')
    expect((await one.get('/api/rooms')).body).toHaveLength(1)
    expect((await create(one, { ...body, roomType: 'Group', roomName: 'Two' })).status).toBe(200)
  })
})

describe('a thousand users', () => {
  let crowd: string[]
  beforeAll(async () => {
    const { rows } = await ism.sql.query(
      `insert into app_user (id, created_at, display_name, friends_count, street_credits, role)
      select gen_random_uuid(), now(), 'guest ' || n, 0, 0, 'USER' from generate_series(1, 1000) n returning id`,
    )
    crowd = rows.map(({ id }) => id)
  })

  test('fit in a room, and all may be heard there', async () => {
    const invitedUsers = [alice.id, ...crowd.slice(0, 999), alice.id]
    const { status, body } = await create(alice, group({ invitedUsers }))
    expect(status).toBe(200)
    expect((await alice.get(`/api/rooms/${body.id}/users`)).body).toHaveLength(1000)
    expect((await alice.send(body.id, 'Hello, everybody')).status).toBe(200)
  })

  test('and one more do not', async () => {
    const answer = await create(alice, group({ invitedUsers: [alice.id, ...crowd] }))
    expectRefusal(answer, 'VALIDATION_ERROR', 'invitedUsers: must NOT have more than 1000 items')
  })
})

describe('refuses', () => {
  const refused: [string, () => unknown, string][] = [
    ['no type', () => group({ roomType: undefined }), 'roomType: is required'],
    ['a null type', () => group({ roomType: null }), 'roomType: is required'],
    ['another type', () => group({ roomType: 'single' }), 'roomType: must be one of Single, Group'],
    ['no users', () => group({ invitedUsers: undefined }), 'invitedUsers: is required'],
    ['an empty list', () => group({ invitedUsers: [] }), 'invitedUsers: must NOT have fewer than 1 items'],
    ['a user for a list', () => group({ invitedUsers: alice.id }), 'invitedUsers: must be array'],
    [
      'a user that is no id',
      () => group({ invitedUsers: [alice.id, 'bob'] }),
      'invitedUsers.1: must match format "uuid"',
    ],
    ['a null user', () => group({ invitedUsers: [alice.id, null] }), 'invitedUsers.1: must be string'],
    [
      'a list without oneself',
      () => group({ invitedUsers: [bob.id, carol.id] }),
      'invitedUsers: must contain yourself',
    ],
    ['a Group without a name', () => group({ roomName: undefined }), 'roomName: is required for a Group'],
    ['a null name', () => group({ roomName: null }), 'roomName: is required for a Group'],
    ['a blank name', () => group({ roomName: ' \t ' }), 'roomName: must have 1 to 255 characters'],
    ['256 characters', () => group({ roomName: 'n'.repeat(256) }), 'roomName: must have 1 to 255 characters'],
    ['a name that is no text', () => group({ roomName: 5 }), 'roomName: must be string'],
    ['U+0000', () => group({ roomName: 'a\0b' }), 'roomName may not contain U+0000 or a lone surrogate.'],
    ['half a pair', () => group({ roomName: 'a\ud83e' }), 'roomName may not contain U+0000 or a lone surrogate.'],
    [
      'a Group of one',
      () => group({ invitedUsers: [alice.id, alice.id] }),
      'invitedUsers: a Group needs at least two users, of whom none is in a block with you',
    ],
    [
      'a Single room of one',
      () => ({ roomType: 'Single', invitedUsers: [alice.id] }),
      'invitedUsers: a Single room needs exactly two users, neither of whom blocked the other',
    ],
    [
      'a Single room of three',
      () => ({ roomType: 'Single', invitedUsers: [alice.id, bob.id, carol.id] }),
      'invitedUsers: a Single room needs exactly two users, neither of whom blocked the other',
    ],
    ['an array', () => [], 'body: must be object'],
    ['a text', () => 'Group', 'body: must be object'],
    ['null', () => null, 'body: must be object'],
  ]
  test.each(refused)('%s', async (_, body, message) => {
    expectRefusal(await create(alice, body()), 'VALIDATION_ERROR', message)
  })

  test('an unknown and a deleted user', async () => {
    const [one, gone] = await strangers(2)
    await ism.sql.query('update app_user set deleted_at = now() where id = $1', [gone.id])
    for (const id of [randomUUID(), gone.id]) {
      const invitedUsers = [one.id, id]
      expectRefusal(await create(one, { roomType: 'Single', invitedUsers }), 'CONTENT_NOT_FOUND', 'User not found.')
      expectRefusal(await create(one, group({ invitedUsers })), 'CONTENT_NOT_FOUND', 'User not found.')
    }
  })

  test('in an order: the schema, oneself, the name, unknown users, too few', async () => {
    const unknown = randomUUID()
    const answer = (body: Record<string, unknown>) => create(alice, group(body))
    expectRefusal(await answer({ roomType: 'x', invitedUsers: [bob.id] }), 'VALIDATION_ERROR', /^roomType/)
    expectRefusal(await answer({ roomName: null, invitedUsers: [unknown] }), 'VALIDATION_ERROR', /contain yourself/)
    expectRefusal(await answer({ roomName: null, invitedUsers: [alice.id, unknown] }), 'VALIDATION_ERROR', /^roomName/)
    const three = { roomType: 'Single', invitedUsers: [alice.id, bob.id, unknown] }
    expectRefusal(await answer(three), 'CONTENT_NOT_FOUND')
  })

  test('what is no JSON', async () => {
    const json = { 'content-type': 'application/json' }
    expectRefusal(
      await alice.raw('POST', PATH, '{"roomType":', json),
      'VALIDATION_ERROR',
      'The body is not valid JSON.',
    )
    expectRefusal(await alice.raw('POST', PATH), 'VALIDATION_ERROR', 'A JSON body is required.')
    expectRefusal(await alice.raw('POST', PATH, '{}', { 'content-type': 'text/plain' }), 'UNSUPPORTED_MEDIA_TYPE')
    const large = JSON.stringify(group({ padding: 'x'.repeat(1024 * 1024) }))
    expectRefusal(await alice.raw('POST', PATH, large, json), 'PAYLOAD_TOO_LARGE')
    const latin1 = new Uint8Array(Buffer.from(JSON.stringify(group({ roomName: 'Köche' })), 'latin1'))
    expectRefusal(await alice.raw('POST', PATH, latin1, json), 'VALIDATION_ERROR', 'The body is not valid UTF-8.')
  })

  test('another method and a missing token', async () => {
    const answer = await alice.delete(PATH)
    expectRefusal(answer, 'METHOD_NOT_ALLOWED')
    const anonymous = alice.at(ism.url)
    anonymous.token = 'nonsense'
    expectRefusal(await create(anonymous, group()), 'UNAUTHENTICATED')
  })

  test('and leaves nothing behind', async () => {
    const [one] = await strangers(2)
    await create(one, { roomType: 'Single', invitedUsers: [one.id] })
    await create(one, { roomType: 'Group', roomName: 'G', invitedUsers: [one.id, randomUUID()] })
    expect((await one.get('/api/rooms')).body).toEqual([])
  })
})
