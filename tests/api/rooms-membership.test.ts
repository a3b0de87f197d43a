/** Coming and going: invitations, leaving, the end of a room, and finding the private room of two. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Person } from '../support/person.ts'
import { expectRefusal } from '../support/refusal.ts'

const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
const UUID = expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)

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

/** New people each time, and a Group of alice and bob. */
beforeEach(async () => {
  round++
  ;[alice, bob, carol] = await ism.people(`alice ${round}`, `bob ${round}`, `carol ${round}`)
  roomId = await alice.createRoom([bob], 'Cooks')
})

const invite = (host: Person, guestId: string, room = roomId) => host.post(`/api/rooms/${room}/invite/${guestId}`)
const leave = (person: Person, room = roomId) => person.post(`/api/rooms/${room}/leave`)
const members = async (viewer: Person, room = roomId) =>
  (await viewer.get(`/api/rooms/${room}/users`)).body.map(
    ({ displayName, membershipStatus }: { displayName: string; membershipStatus: string }) =>
      `${displayName.split(' ')[0]} ${membershipStatus}`,
  )
const roomIds = async (person: Person) => (await person.get('/api/rooms')).body.map(({ id }: { id: string }) => id)

describe('an invitation', () => {
  test('makes the guest a member at once, who may read the whole history', async () => {
    const first = (await alice.send(roomId, 'Before carol')).body
    const { status, body } = await invite(bob, carol.id)
    expect([status, body]).toEqual([200, ''])

    const [join, ...older] = await carol.timeline(roomId)
    expect(join).toEqual({
      chatRoomId: roomId,
      messageId: UUID,
      senderId: carol.id,
      msgType: 'RoomChange',
      msgBody: {
        type: 'UserJoined',
        related_user: {
          id: carol.id,
          displayName: carol.name,
          profilePicture: null,
          joinedAt: TIME,
          lastMessageReadAt: null,
          membershipStatus: 'Joined',
        },
      },
      createdAt: TIME,
      roomSeq: 2,
      clientMessageId: null,
    })
    expect(older).toEqual([first])
    expect(await members(alice)).toContain('carol Joined')
    expect((await carol.send(roomId, 'Hello')).body.roomSeq).toBe(3)
  })

  test('leaves the guest with their own JOIN to read, and everybody with its preview', async () => {
    await alice.send(roomId, 'one')
    await alice.send(roomId, 'two')
    await invite(alice, carol.id)
    const preview = { type: 'RoomChange', sender_username: carol.name, room_change_type: 'JOIN' }
    const [join] = await carol.timeline(roomId)
    const seenBy = async (person: Person) => (await person.get(`/api/rooms/${roomId}`)).body
    expect(await seenBy(carol)).toMatchObject({
      unread: true,
      unreadCount: 1,
      latestMessage: join.createdAt,
      latestMessagePreviewText: preview,
    })
    expect(await seenBy(alice)).toMatchObject({ unread: true, unreadCount: 1, latestMessagePreviewText: preview })
    expect(await seenBy(bob)).toMatchObject({ unread: true, unreadCount: 3 })
  })

  test('takes ids in any case', async () => {
    expect((await invite(alice, carol.id.toUpperCase(), roomId.toUpperCase())).status).toBe(200)
    expectRefusal(await invite(alice, carol.id), 'VALIDATION_ERROR', 'user_id: is already a member of this room')
  })

  test('is for both once, where two members invite the same guest', async () => {
    const statuses = (await Promise.all([invite(alice, carol.id), invite(bob, carol.id)])).map(({ status }) => status)
    expect(statuses.sort()).toEqual([200, 400])
    expect(await carol.timeline(roomId)).toHaveLength(1)
  })

  test('brings back who left, with the history of the time between', async () => {
    await leave(bob)
    const missed = (await alice.send(roomId, 'While bob is away')).body
    expect(await members(alice)).toContain('bob Left')
    await invite(alice, bob.id)
    expect((await members(alice)).sort()).toEqual(['alice Joined', 'bob Joined'])
    expect((await bob.timeline(roomId)).map(({ msgBody }) => msgBody.type ?? msgBody.text)).toEqual([
      'UserJoined',
      missed.msgBody.text,
      'UserLeft',
    ])
    expect((await bob.get(`/api/rooms/${roomId}`)).body.unreadCount).toBe(1)
  })

  test('is refused in its order', async () => {
    const single = await alice.createRoom([carol])
    const unknown = randomUUID()
    expectRefusal(await invite(alice, 'bob'), 'VALIDATION_ERROR', 'user_id: must be a UUID')
    expectRefusal(await invite(alice, 'bob', 'cooks'), 'VALIDATION_ERROR', 'room_id: must be a UUID')
    expectRefusal(await invite(carol, unknown, randomUUID()), 'CONTENT_NOT_FOUND', 'Room not found.')
    expectRefusal(await invite(carol, unknown), 'INSUFFICIENT_PERMISSIONS', 'You are not a member of this room.')
    expectRefusal(await invite(bob, unknown, single), 'INSUFFICIENT_PERMISSIONS', 'You are not a member of this room.')
    const message = 'room_id: nobody can be invited to a Single room'
    expectRefusal(await invite(alice, unknown, single), 'VALIDATION_ERROR', message)
    expectRefusal(await invite(alice, carol.id, single), 'VALIDATION_ERROR', message)
    expectRefusal(await invite(alice, unknown), 'CONTENT_NOT_FOUND', 'User not found.')
    await alice.post(`/api/users/ignore/${bob.id}`)
    expectRefusal(await invite(alice, bob.id), 'INSUFFICIENT_PERMISSIONS', 'You and this user are in a block.')
    expectRefusal(await invite(bob, alice.id), 'INSUFFICIENT_PERMISSIONS', 'You and this user are in a block.')
    expectRefusal(await invite(alice, alice.id), 'VALIDATION_ERROR', 'user_id: is already a member of this room')
    expect(await alice.timeline(roomId)).toEqual([])
  })

  test('is refused for a deleted guest', async () => {
    await ism.sql.query('update app_user set deleted_at = now() where id = $1', [carol.id])
    expectRefusal(await invite(alice, carol.id), 'CONTENT_NOT_FOUND', 'User not found.')
  })

  test('may come from a member whom the guest has not blocked', async () => {
    await carol.post(`/api/users/ignore/${alice.id}`)
    expectRefusal(await invite(alice, carol.id), 'INSUFFICIENT_PERMISSIONS')
    expect((await invite(bob, carol.id)).status).toBe(200)
  })
})

describe('leaving a Group', () => {
  test('leaves a RoomChange, and the leaver among the users as Left', async () => {
    const { status, body } = await leave(bob)
    expect([status, body]).toEqual([200, ''])
    const [left] = await alice.timeline(roomId)
    expect(left).toMatchObject({
      senderId: bob.id,
      msgType: 'RoomChange',
      msgBody: { type: 'UserLeft', related_user: { id: bob.id, membershipStatus: 'Left' } },
      roomSeq: 1,
    })
    expect((await members(alice)).sort()).toEqual(['alice Joined', 'bob Left'])
    expect((await alice.get(`/api/rooms/${roomId}`)).body.latestMessagePreviewText).toEqual({
      type: 'RoomChange',
      sender_username: bob.name,
      room_change_type: 'LEAVE',
    })
  })

  test('hides the room from who left, and refuses their messages', async () => {
    await leave(bob)
    expect(await roomIds(bob)).toEqual([])
    expectRefusal(
      await bob.send(roomId, 'Still here?'),
      'INSUFFICIENT_PERMISSIONS',
      'You are not a member of this room.',
    )
    expectRefusal(await leave(bob), 'INSUFFICIENT_PERMISSIONS', 'You are not a member of this room.')
  })

  test('the last to leave deletes the room with its messages', async () => {
    await alice.send(roomId, 'Anybody?')
    await leave(bob)
    expect((await leave(alice)).status).toBe(200)
    for (const person of [alice, bob]) {
      expect(await roomIds(person)).toEqual([])
      expectRefusal(await person.get(`/api/rooms/${roomId}`), 'CONTENT_NOT_FOUND', 'Room not found.')
      expectRefusal(await person.get(`/api/rooms/${roomId}/users`), 'CONTENT_NOT_FOUND', 'Room not found.')
      expectRefusal(await person.send(roomId, 'Hello?'), 'CONTENT_NOT_FOUND', 'Room not found.')
      expectRefusal(await leave(person), 'CONTENT_NOT_FOUND', 'Room not found.')
    }
    await expectErased(roomId)
  })

  test('both leave at once: one of them is the last', async () => {
    const answers = await Promise.all([leave(alice), leave(bob)])
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expectRefusal(await alice.get(`/api/rooms/${roomId}/users`), 'CONTENT_NOT_FOUND')
  })

  test('a sender who leaves meanwhile is in time or refused, and no message is lost', async () => {
    const sends = Array.from({ length: 20 }, (_, n) => bob.send(roomId, `message ${n}`))
    const [left, ...answers] = await Promise.all([leave(bob), ...sends])
    expect(left?.status).toBe(200)
    const kept = answers.filter(({ status }) => status === 200).map(({ body }) => body.messageId)
    for (const answer of answers.filter(({ status }) => status !== 200))
      expectRefusal(answer, 'INSUFFICIENT_PERMISSIONS')
    const [change, ...messages] = await alice.timeline(roomId)
    expect(change.msgBody.type).toBe('UserLeft')
    expect(new Set(messages.map(({ messageId }) => messageId))).toEqual(new Set(kept))
  })
})

describe('leaving a Single room', () => {
  test('ends it for both, and they may begin anew', async () => {
    const single = await alice.createRoom([bob])
    await bob.send(single, 'Between us')
    expect((await leave(alice, single)).status).toBe(200)
    expect(await roomIds(bob)).toEqual([roomId])
    expectRefusal(await bob.get(`/api/rooms/${single}/timeline?timestamp=2999-01-01T00:00:00Z`), 'CONTENT_NOT_FOUND')
    await expectErased(single)
    const again = await bob.createRoom([alice])
    expect(again).not.toBe(single)
    expect(await alice.timeline(again)).toEqual([])
  })

  test('blocking ends it too, but no Group of the two', async () => {
    const single = await alice.createRoom([bob])
    await bob.post(`/api/users/ignore/${alice.id}`)
    expect(await roomIds(alice)).toEqual([roomId])
    expectRefusal(await alice.send(single, 'Hello?'), 'CONTENT_NOT_FOUND', 'Room not found.')
    expect((await alice.send(roomId, 'Here I am')).status).toBe(200)
  })
})

describe('search for a private room', () => {
  const search = async (person: Person, id: string) => {
    const { status, body } = await person.get(`/api/rooms/search?withUser=${id}`)
    expect(status).toBe(200)
    return body
  }

  test('finds the room of two, for both, and no other', async () => {
    expect(await search(alice, bob.id)).toBeNull()
    const single = await alice.createRoom([bob])
    await alice.createRoom([carol])
    expect(await search(alice, bob.id)).toBe(single)
    expect(await search(bob, alice.id.toUpperCase())).toBe(single)
    expect(await search(carol, bob.id)).toBeNull()
    expect(await search(alice, alice.id)).toBeNull()
    expect(await search(alice, randomUUID())).toBeNull()
    await leave(bob, single)
    expect(await search(alice, bob.id)).toBeNull()
  })

  test.each(['', '?withUser=', '?withUser=bob', '?withUser=%00'])('refuses "%s"', async (query) => {
    expectRefusal(await alice.get(`/api/rooms/search${query}`), 'VALIDATION_ERROR', 'withUser: must be a UUID')
  })
})

test('rooms are listed newest message first', async () => {
  const second = await alice.createRoom([carol], 'Second')
  const third = await alice.createRoom([bob])
  expect(await roomIds(alice)).toEqual([third, second, roomId])
  await carol.send(second, 'Up')
  expect(await roomIds(alice)).toEqual([second, third, roomId])
  await invite(alice, carol.id)
  expect(await roomIds(alice)).toEqual([roomId, second, third])
  await bob.post(`/api/rooms/${third}/mark-read`)
  expect(await roomIds(alice)).toEqual([roomId, second, third])
})

test('rooms of the same age are listed by id', async () => {
  const others = await Promise.all([1, 2, 3, 4].map((n) => alice.createRoom([bob], `Room ${n}`)))
  await ism.sql.query(`update chat_room set latest_message = '2020-01-01' where id = any ($1)`, [others])
  expect(await roomIds(alice)).toEqual([roomId, ...others.sort()])
})

test('a deleted user stays among the members, with their messages', async () => {
  const { body } = await bob.send(roomId, 'Remember me')
  await ism.sql.query('update app_user set deleted_at = now() where id = $1', [bob.id])
  expect(await members(alice)).toContain('bob Joined')
  expect((await alice.timeline(roomId))[0].messageId).toBe(body.messageId)
})

/** Neither the log nor the store has a message of the room left. */
async function expectErased(room: string): Promise<void> {
  await eventually('nothing is left', async () => {
    const { rows } = await ism.sql.query(
      `select (select count(*) from event where room_id = $1 and type not in (4, 9))
        + (select count(*) from message where room_id = $1) as left`,
      [room],
    )
    return Number(rows[0].left) === 0
  })
}
