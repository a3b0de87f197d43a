/** Every event: its form, each of its recipients on all of their devices, and that nobody else hears it. */
import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { WireEvent } from '../support/event-stream.ts'
import { appendSystemMessage, Hearing, typesOf } from '../support/hearing.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Answer, Person } from '../support/person.ts'

type Name = 'alice' | 'alicesPhone' | 'bob' | 'carol' | 'dave'

const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
/** What every event carries beside its own fields. */
const ENVELOPE = { createdAt: TIME, seq: expect.any(Number), eventId: expect.stringMatching(/^[\w-]+$/) }

let ism: TestIsm
let round = 0
let alice: Person
let bob: Person
let carol: Person
let dave: Person
let hearing: Hearing<Name>
let start: string

beforeAll(async () => {
  ism = await startIsm()
})
afterAll(() => ism.stop())

/** Bob and carol get into rooms with alice, who has two devices; dave never does. */
beforeEach(async () => {
  round++
  ;[alice, bob, carol, dave] = await ism.people(`alice ${round}`, `bob ${round}`, `carol ${round}`, `dave ${round}`)
  start = (await alice.get('/api/notifications/cursor')).body.lastEventId
  hearing = await Hearing.of(ism, { alice, alicesPhone: alice, bob, carol, dave })
})
afterEach(() => {
  for (const person of [alice, bob, carol, dave]) person.closeStreams()
})

/** @param expected the types that each heard; who is left out heard nothing */
async function heard(action: () => Promise<unknown>, expected: { [Who in Name]?: string[] }) {
  const events = await hearing.during(action)
  const nothing: string[] = []
  const everybody = { alice: nothing, alicesPhone: nothing, bob: nothing, carol: nothing, dave: nothing }
  expect(typesOf(events)).toEqual({ ...everybody, ...expected })
  expect(events.alicesPhone).toEqual(events.alice)
  return events
}

const only = (events: WireEvent[]) => {
  expect(events).toHaveLength(1)
  return events[0] as WireEvent
}

describe('NewRoom', () => {
  test('of a Group goes to the creator and every guest', async () => {
    let room: Answer['body']
    const events = await heard(
      async () => {
        const invitedUsers = [alice.id, bob.id, carol.id]
        room = (await alice.post('/api/rooms/create-room', { roomType: 'Group', roomName: 'Cooks', invitedUsers })).body
      },
      { alice: ['NewRoom'], alicesPhone: ['NewRoom'], bob: ['NewRoom'], carol: ['NewRoom'] },
    )
    for (const person of ['alice', 'bob', 'carol'] as const)
      expect(only(events[person])).toEqual({ type: 'NewRoom', room, ...ENVELOPE })
  })

  test('of a Single room shows each the other', async () => {
    await ism.sql.query('update app_user set profile_picture = $2 where id = $1', [alice.id, 'https://pictures/alice'])
    const events = await heard(() => alice.createRoom([bob]), {
      alice: ['NewRoom'],
      alicesPhone: ['NewRoom'],
      bob: ['NewRoom'],
    })
    expect(only(events.alice)['room']).toMatchObject({ roomName: bob.name, roomImageUrl: null })
    const atBob = only(events.bob)['room']
    expect(atBob).toMatchObject({ roomName: alice.name, roomImageUrl: 'https://pictures/alice' })
    expect((await bob.get(`/api/rooms/${atBob.id}`)).body).toEqual(atBob)
  })

  test('leaves out who was dropped for a block', async () => {
    await bob.post(`/api/users/ignore/${alice.id}`)
    await heard(() => alice.createRoom([bob, carol], 'Cooks'), {
      alice: ['NewRoom'],
      alicesPhone: ['NewRoom'],
      carol: ['NewRoom'],
    })
  })

  test('is not told where the room is refused', async () => {
    await heard(() => alice.post('/api/rooms/create-room', { roomType: 'Single', invitedUsers: [alice.id] }), {})
  })
})

describe('in a Group of alice and bob', () => {
  let roomId: string
  beforeEach(async () => {
    await hearing.during(async () => {
      roomId = await alice.createRoom([bob], 'Cooks')
    })
  })

  const ROOM_CHANGE = { alice: ['RoomChangeEvent'], alicesPhone: ['RoomChangeEvent'] }
  const invite = (host: Person, guest: Person) => host.post(`/api/rooms/${roomId}/invite/${guest.id}`)
  const leave = (person: Person) => person.post(`/api/rooms/${roomId}/leave`)

  test.each([
    ['Text', { text: 'Hello' }, { type: 'Text', text: 'Hello' }],
    [
      'Media',
      { mediaUrl: 'u', mediaType: 'IMAGE', mimeType: null, altText: null },
      { type: 'Media', media_type: 'IMAGE' },
    ],
  ])('ChatMessage with a %s goes to every member, the sender included', async (msgType, msgBody, preview) => {
    let sent: Answer['body']
    const events = await heard(
      async () => {
        sent = (await alice.post('/api/send-msg', { chatRoomId: roomId, msgType, msgBody })).body
      },
      { alice: ['ChatMessage'], alicesPhone: ['ChatMessage'], bob: ['ChatMessage'] },
    )
    for (const person of ['alice', 'bob'] as const)
      expect(only(events[person])).toEqual({
        type: 'ChatMessage',
        message: sent,
        roomPreviewText: { ...preview, sender_username: alice.name },
        ...ENVELOPE,
      })
  })

  test('ChatMessage with a Reply', async () => {
    let reply: Answer['body']
    const events = await hearing.during(async () => {
      const { messageId, createdAt } = (await alice.send(roomId, 'Soup?')).body
      const msgBody = { replyMsgId: messageId, replyCreatedAt: createdAt, replyText: 'Fish' }
      reply = (await bob.post('/api/send-msg', { chatRoomId: roomId, msgType: 'Reply', msgBody })).body
    })
    expect(events.alice[1]).toMatchObject({
      type: 'ChatMessage',
      message: reply,
      roomPreviewText: { type: 'Reply', sender_username: bob.name, reply_text: 'Fish' },
    })
  })

  test('RoomChangeEvent of a JOIN goes to who was there, and NewRoom to the guest alone', async () => {
    const events = await heard(() => invite(bob, carol), {
      ...ROOM_CHANGE,
      bob: ['RoomChangeEvent'],
      carol: ['NewRoom'],
    })
    const [message] = await carol.timeline(roomId)
    const preview = { type: 'RoomChange', sender_username: carol.name, room_change_type: 'JOIN' }
    expect(only(events.bob)).toEqual({ type: 'RoomChangeEvent', message, roomPreviewText: preview, ...ENVELOPE })
    expect(message.msgBody).toMatchObject({ type: 'UserJoined', related_user: { id: carol.id } })
    const { room } = only(events.carol)
    expect(room).toEqual((await carol.get(`/api/rooms/${roomId}`)).body)
    expect(room).toMatchObject({ latestMessagePreviewText: preview, unread: true, unreadCount: 1 })
  })

  test('LeaveRoom goes to who left, and the RoomChangeEvent to who stays', async () => {
    const events = await heard(() => leave(bob), { ...ROOM_CHANGE, bob: ['LeaveRoom'] })
    expect(only(events.bob)).toEqual({ type: 'LeaveRoom', roomId, ...ENVELOPE })
    const [message] = await alice.timeline(roomId)
    expect(only(events.alice)).toEqual({
      type: 'RoomChangeEvent',
      message,
      roomPreviewText: { type: 'RoomChange', sender_username: bob.name, room_change_type: 'LEAVE' },
      ...ENVELOPE,
    })
    expect(message.msgBody).toMatchObject({ type: 'UserLeft', related_user: { membershipStatus: 'Left' } })
  })

  test('who left hears no more of it, until they are back', async () => {
    await heard(() => leave(bob), { ...ROOM_CHANGE, bob: ['LeaveRoom'] })
    await heard(() => alice.send(roomId, 'Where is bob?'), { alice: ['ChatMessage'], alicesPhone: ['ChatMessage'] })
    await heard(() => invite(alice, bob), { ...ROOM_CHANGE, bob: ['NewRoom'] })
    await heard(() => alice.send(roomId, 'There he is'), {
      alice: ['ChatMessage'],
      alicesPhone: ['ChatMessage'],
      bob: ['ChatMessage'],
    })
  })

  test('the last to leave hears LeaveRoom, and nobody anything else', async () => {
    await heard(() => leave(bob), { ...ROOM_CHANGE, bob: ['LeaveRoom'] })
    const events = await heard(() => leave(alice), { alice: ['LeaveRoom'], alicesPhone: ['LeaveRoom'] })
    expect(only(events.alice)).toEqual({ type: 'LeaveRoom', roomId, ...ENVELOPE })
  })

  test('UserReadChat goes to every member, and only where something changed', async () => {
    await hearing.during(() => alice.send(roomId, 'one'))
    const READ = { alice: ['UserReadChat'], alicesPhone: ['UserReadChat'], bob: ['UserReadChat'] }
    const events = await heard(() => bob.post(`/api/rooms/${roomId}/mark-read`), READ)
    for (const person of ['alice', 'bob'] as const)
      expect(only(events[person])).toEqual({ type: 'UserReadChat', userId: bob.id, roomId, roomSeq: 1, ...ENVELOPE })
    await heard(() => bob.post(`/api/rooms/${roomId}/mark-read`), {})
    await heard(() => bob.post(`/api/rooms/${roomId}/mark-read`, { roomSeq: 0 }), {})
  })

  test('what is refused is not told', async () => {
    await heard(async () => {
      await dave.send(roomId, 'Let me in')
      await alice.send(roomId, '')
      await dave.post(`/api/rooms/${roomId}/mark-read`)
      await invite(dave, dave)
      await invite(alice, bob)
      await leave(carol)
    }, {})
  })
})

describe('the private room of two', () => {
  let roomId: string
  beforeEach(async () => {
    await hearing.during(async () => {
      roomId = await alice.createRoom([bob])
    })
  })
  const LEFT = { alice: ['LeaveRoom'], alicesPhone: ['LeaveRoom'], bob: ['LeaveRoom'] }

  test('ends with LeaveRoom for both', async () => {
    const events = await heard(() => bob.post(`/api/rooms/${roomId}/leave`), LEFT)
    for (const person of ['alice', 'bob'] as const)
      expect(only(events[person])).toEqual({ type: 'LeaveRoom', roomId, ...ENVELOPE })
  })

  test('ends so by a block as well', async () => {
    await heard(() => bob.post(`/api/users/ignore/${alice.id}`), LEFT)
  })
})

describe('between people', () => {
  const profile = async (person: Person) => (await dave.get(`/api/users/${person.id}`)).body.user

  test('FriendRequestReceived goes to who is asked', async () => {
    const events = await heard(() => alice.post(`/api/users/friends/add/${bob.id}`), { bob: ['FriendRequestReceived'] })
    const fromUser = await profile(alice)
    expect(only(events.bob)).toEqual({ type: 'FriendRequestReceived', fromUser, ...ENVELOPE })
    await heard(() => alice.post(`/api/users/friends/add/${bob.id}`), {})
  })

  test.each(['accept-request', 'add'])('FriendRequestAccepted goes to who had asked: %s', async (call) => {
    await hearing.during(() => alice.post(`/api/users/friends/add/${bob.id}`))
    const events = await heard(() => bob.post(`/api/users/friends/${call}/${alice.id}`), {
      alice: ['FriendRequestAccepted'],
      alicesPhone: ['FriendRequestAccepted'],
    })
    const fromUser = await profile(bob)
    expect(fromUser.friendsCount).toBe(1)
    expect(only(events.alice)).toEqual({ type: 'FriendRequestAccepted', fromUser, ...ENVELOPE })
  })

  test('refusing, ending, blocking and unblocking are silent', async () => {
    await hearing.during(() => alice.post(`/api/users/friends/add/${bob.id}`))
    await heard(() => bob.delete(`/api/users/friends/reject-request/${alice.id}`), {})
    await heard(() => bob.post(`/api/users/ignore/${alice.id}`), {})
    await heard(() => bob.delete(`/api/users/ignore/${alice.id}`), {})
  })

  test.each([{ text: 'Hello' }, 'Hello', 5, null, ['a', { b: '🤗\n' }]])('SystemMessage %j', async (message) => {
    const events = await heard(() => appendSystemMessage(ism, [bob, carol], message), {
      bob: ['SystemMessage'],
      carol: ['SystemMessage'],
    })
    expect(only(events.bob)).toEqual({ type: 'SystemMessage', message, ...ENVELOPE })
  })
})

test('seq rises along all of them, and a stream, a resumed stream and REST tell the same', async () => {
  const stream = await alice.stream(start)
  const roomId = await alice.createRoom([bob], 'Cooks')
  await bob.send(roomId, 'one')
  await alice.post(`/api/rooms/${roomId}/invite/${carol.id}`)
  await carol.send(roomId, 'two', { clientMessageId: randomUUID() })
  await alice.send(roomId, 'three', { clientMessageId: randomUUID() })
  await alice.post(`/api/rooms/${roomId}/mark-read`)
  await bob.post(`/api/users/friends/add/${alice.id}`)
  await bob.post(`/api/rooms/${roomId}/leave`)
  await carol.post(`/api/rooms/${roomId}/mark-read`)
  await appendSystemMessage(ism, [alice], 'end')
  const isEnd = ({ message }: WireEvent) => message === 'end'
  await stream.next(isEnd)

  expect(stream.events.map(({ type }) => type)).toEqual([
    'NewRoom',
    'ChatMessage',
    'RoomChangeEvent',
    'ChatMessage',
    'ChatMessage',
    'FriendRequestReceived',
    'RoomChangeEvent',
    'UserReadChat',
    'SystemMessage',
  ])
  const seqs = stream.events.map(({ seq }) => seq)
  expect(seqs).toEqual([...new Set(seqs)].sort((one, other) => one - other))
  expect(new Set(stream.events.map(({ eventId }) => eventId)).size).toBe(seqs.length)
  const resumed = await alice.stream(start)
  await resumed.next(isEnd)
  expect(resumed.events).toEqual(stream.events)
  expect((await alice.get(`/api/notifications?lastEventId=${start}`)).body).toEqual(stream.events)
})
