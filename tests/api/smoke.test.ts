/** One chat from beginning to end, through every layer. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startIsm, type TestIsm } from '../support/ism.ts'

let ism: TestIsm
beforeAll(async () => {
  ism = await startIsm()
})
afterAll(() => ism.stop())

test('a message reaches the stream and the timeline, and makes the room unread', async () => {
  const [alice, bob, carol] = await ism.people('alice', 'bob', 'carol')
  const stream = await bob.stream()
  const outside = await carol.stream()
  const roomId = await alice.createRoom([bob])
  const created = await stream.next((event) => event.type === 'NewRoom')
  expect(created['room']).toMatchObject({
    id: roomId,
    roomType: 'Single',
    roomName: 'alice',
    unread: true,
    unreadCount: 0,
    muted: false,
    mutedUntil: null,
  })

  const sent = await alice.send(roomId, 'Hello, bob!')
  expect(sent.status).toBe(200)
  expect(sent.body).toMatchObject({
    chatRoomId: roomId,
    senderId: alice.id,
    msgBody: { text: 'Hello, bob!' },
    roomSeq: 1,
  })

  const heard = await stream.next((event) => event.type === 'ChatMessage')
  expect(heard['message']).toEqual(sent.body)
  expect(heard['roomPreviewText']).toEqual({ type: 'Text', sender_username: 'alice', text: 'Hello, bob!' })

  expect(await bob.timeline(roomId)).toEqual([sent.body])
  const [room] = (await bob.get('/api/rooms')).body
  expect(room).toMatchObject({ id: roomId, unread: true, unreadCount: 1, latestMessage: sent.body.createdAt })
  expect((await bob.post(`/api/rooms/${roomId}/mark-read`)).status).toBe(200)
  expect((await bob.get(`/api/rooms/${roomId}`)).body).toMatchObject({ unread: false, unreadCount: 0 })
  expect((await bob.get(`/api/rooms/${roomId}/read-states`)).body).toHaveLength(2)
  expect(outside.events).toEqual([])

  const replayed = await bob.stream(created.eventId)
  await replayed.next((event) => event.type === 'UserReadChat')
  expect(replayed.events.map(({ type }) => type)).toEqual(['ChatMessage', 'UserReadChat'])
  expect((await bob.get(`/api/notifications?lastEventId=${created.eventId}`)).body).toEqual(replayed.events)
})
