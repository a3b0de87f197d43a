/** When the log is trimmed nothing that a client sees changes, but for cursors that reach back too far. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { trimLog } from '../support/archive.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Answer, Person } from '../support/person.ts'

let ism: TestIsm
let alice: Person
let bob: Person
let carol: Person
let roomId: string
let quiet: string
let cursor: string
let shown: Answer['body'][]

const lookAround = async () => {
  const answers: Answer['body'][] = []
  for (const person of [alice, bob, carol]) {
    answers.push((await person.get('/api/rooms')).body)
    for (const id of [roomId, quiet])
      for (const call of ['', '/detailed', '/users', '/read-states'])
        answers.push((await person.get(`/api/rooms/${id}${call}`)).body)
    answers.push(await person.timeline(roomId))
  }
  return answers.map((answer) => (answer.errorCode ? answer.errorCode : answer))
}

beforeAll(async () => {
  ism = await startIsm()
  ;[alice, bob, carol] = await ism.people('alice', 'bob', 'carol')
  quiet = await alice.createRoom([bob, carol], 'Quiet')
  roomId = await alice.createRoom([bob], 'Cooks')
  for (let n = 0; n < 30; n++) await (n % 3 ? alice : bob).send(roomId, `message ${n}`)
  await bob.post(`/api/rooms/${roomId}/mark-read`, { roomSeq: 29 })
  await alice.post(`/api/rooms/${roomId}/invite/${carol.id}`)
  await alice.send(roomId, 'Welcome')
  cursor = (await bob.get('/api/notifications/cursor')).body.lastEventId
  await bob.send(roomId, 'Before the cut')
  shown = await lookAround()
  await trimLog(ism)
})
afterAll(() => ism.stop())

test('the log is trimmed', async () => {
  const { rows } = await ism.sql.query('select count(*) from event where room_id = any ($1)', [[roomId, quiet]])
  expect(Number(rows[0].count)).toBe(0)
})

test('rooms, members, read states and timelines are as before', async () => {
  expect(await lookAround()).toEqual(shown)
})

test('a cursor from before is answered with Resync, on the stream and by REST', async () => {
  const stream = await bob.stream(cursor)
  const resync = await stream.next(() => true)
  expect(resync).toMatchObject({ type: 'Resync', reason: 'TOO_OLD' })
  const { body } = await bob.get(`/api/notifications?lastEventId=${cursor}`)
  expect(body).toMatchObject([{ type: 'Resync', reason: 'TOO_OLD' }])
  const again = await bob.stream(resync.eventId)
  await bob.send(quiet, 'After the cut')
  await stream.next(({ type }) => type === 'ChatMessage')
  await again.next(({ type }) => type === 'ChatMessage')
  expect(again.events).toHaveLength(1)
  expect(stream.events).toHaveLength(2)
})

test('a time from before is answered with Resync and what is left', async () => {
  await alice.send(quiet, 'Still kept')
  const { body } = await bob.get('/api/notifications?timestamp=2020-01-01T00:00:00Z')
  expect(body[0]).toMatchObject({ type: 'Resync', reason: 'TOO_OLD' })
  expect(body.at(-1).message.msgBody).toEqual({ text: 'Still kept' })
  const { body: since } = await bob.get(`/api/notifications?timestamp=${body.at(-1).createdAt}`)
  expect(since).toEqual([body.at(-1)])
})

test('the room goes on counting where it was', async () => {
  const last = (await alice.timeline(roomId))[0]
  const { body } = await alice.send(roomId, 'After the cut')
  expect(body.roomSeq).toBe(last.roomSeq + 1)
  expect(Date.parse(body.createdAt)).toBeGreaterThan(Date.parse(last.createdAt))
  expect((await bob.get(`/api/rooms/${roomId}`)).body).toMatchObject({ unread: true, unreadCount: 1 })
  expect((await carol.get(`/api/rooms/${roomId}`)).body.unreadCount).toBe(4)
  await carol.post(`/api/rooms/${roomId}/leave`)
  expect((await alice.timeline(roomId))[0].roomSeq).toBe(body.roomSeq + 1)
  expect(await alice.timeline(roomId)).toHaveLength(35)
})

test('a message that only the archive has can be replied to', async () => {
  const messages = await bob.timeline(roomId)
  const first = messages.at(-1)
  const { status, body } = await bob.post('/api/send-msg', {
    chatRoomId: roomId,
    msgType: 'Reply',
    msgBody: { replyMsgId: first.messageId, replyCreatedAt: first.createdAt, replyText: 'I remember' },
  })
  expect(status).toBe(200)
  expect(body.msgBody.replyMsgDetails).toEqual(first.msgBody)
})

test('who is in a room hears it, who left does not', async () => {
  const { body } = await alice.get('/api/notifications/cursor')
  await alice.send(roomId, 'Who hears this?')
  const [heard] = (await bob.get(`/api/notifications?lastEventId=${body.lastEventId}`)).body
  expect(heard.message.msgBody.text).toBe('Who hears this?')
  expect((await carol.get(`/api/notifications?lastEventId=${body.lastEventId}`)).body).toEqual([])
})
