/** Replies: what they quote, of which room, and each reason to refuse. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { archived } from '../support/archive.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Answer, Person } from '../support/person.ts'
import { expectRefusal } from '../support/refusal.ts'

type Message = Answer['body']

const EMOJI = '🤗'

let ism: TestIsm
let alice: Person
let bob: Person
let outsider: Person
let roomId: string
let text: Message

beforeAll(async () => {
  ism = await startIsm()
  ;[alice, bob, outsider] = await ism.people('alice', 'bob', 'outsider')
  roomId = await alice.createRoom([bob], 'Cooks')
  text = (await alice.send(roomId, 'What is for dinner?')).body
})
afterAll(() => ism.stop())

const post = (person: Person, msgBody: unknown, more: Record<string, unknown> = {}) =>
  person.post('/api/send-msg', { chatRoomId: roomId, msgType: 'Reply', msgBody, ...more })
const to = (quoted: Message, more: Record<string, unknown> = {}) => ({
  replyMsgId: quoted.messageId,
  replyCreatedAt: quoted.createdAt,
  replyText: 'Soup',
  ...more,
})

describe('a reply quotes', () => {
  test('a text', async () => {
    const { status, body } = await post(bob, to(text))
    expect(status).toBe(200)
    expect(body).toEqual({
      chatRoomId: roomId,
      messageId: expect.any(String),
      senderId: bob.id,
      msgType: 'Reply',
      msgBody: {
        replyMsgId: text.messageId,
        replySenderId: alice.id,
        replyMsgType: 'Text',
        replyCreatedAt: text.createdAt,
        replyMsgDetails: { text: 'What is for dinner?' },
        replyText: 'Soup',
      },
      createdAt: expect.any(String),
      roomSeq: 2,
      clientMessageId: null,
    })
    expect((await alice.timeline(roomId))[0]).toEqual(body)
    expect((await alice.get(`/api/rooms/${roomId}`)).body.latestMessagePreviewText).toEqual({
      type: 'Reply',
      sender_username: 'bob',
      reply_text: 'Soup',
    })
  })

  test.each([
    { mimeType: 'image/png', altText: 'A pot' },
    { mimeType: null, altText: null },
  ])('a picture, nulls and all: %j', async (optional) => {
    const msgBody = { mediaUrl: 'https://media/1', mediaType: 'IMAGE', ...optional }
    const { body: media } = await alice.post('/api/send-msg', { chatRoomId: roomId, msgType: 'Media', msgBody })
    const { body } = await post(bob, to(media))
    expect(body.msgBody).toMatchObject({ replyMsgType: 'Media', replyMsgDetails: msgBody })
  })

  test('a reply, by its own text alone', async () => {
    const { body: reply } = await post(bob, to(text))
    const { body } = await post(alice, to(reply, { replyText: 'Again?' }))
    expect(body.msgBody).toMatchObject({
      replySenderId: bob.id,
      replyMsgType: 'Reply',
      replyMsgDetails: { reply_text: 'Soup' },
      replyText: 'Again?',
    })
  })

  test('by an id in upper case, and a time with an offset and more digits', async () => {
    const time = new Date(Date.parse(text.createdAt) + 2 * 3_600_000).toISOString().replace('Z', '987654+02:00')
    const { body } = await post(bob, to(text, { replyMsgId: text.messageId.toUpperCase(), replyCreatedAt: time }))
    expect(body.msgBody).toMatchObject({ replyMsgId: text.messageId, replyCreatedAt: text.createdAt })
  })

  test('what it says, not what its sender claims', async () => {
    const { body } = await post(bob, to(text, { replySenderId: bob.id, replyMsgDetails: { text: 'No' } }))
    expect(body.msgBody).toMatchObject({ replySenderId: alice.id, replyMsgDetails: text.msgBody })
  })

  test('a message that the archive has and the log no longer', async () => {
    const { body: old } = await alice.send(roomId, 'Long ago')
    await archived(ism)
    await ism.sql.query('delete from event where message_id = $1', [old.messageId])
    expect((await post(bob, to(old))).body.msgBody.replyMsgDetails).toEqual({ text: 'Long ago' })
  })

  test('once for one clientMessageId', async () => {
    const clientMessageId = randomUUID()
    const first = await post(bob, to(text), { clientMessageId })
    expect((await post(bob, to(text), { clientMessageId })).body).toEqual(first.body)
    expectRefusal(await post(bob, to(text, { replyText: 'Fish' }), { clientMessageId }), 'CONFLICT')
  })

  test('once for one clientMessageId, also where its sender has left since, as a text does', async () => {
    const chatRoomId = await alice.createRoom([bob], 'Left')
    const { body: question } = await alice.send(chatRoomId, 'Who stays?')
    const [one, other] = [{ clientMessageId: randomUUID() }, { clientMessageId: randomUUID() }]
    const said = await bob.send(chatRoomId, 'Not me', one)
    const replied = await post(bob, to(question), { chatRoomId, ...other })
    await bob.post(`/api/rooms/${chatRoomId}/leave`)
    expect(await bob.send(chatRoomId, 'Not me', one)).toMatchObject({ status: 200, body: said.body })
    expect(await post(bob, to(question), { chatRoomId, ...other })).toMatchObject({ status: 200, body: replied.body })
    const message = 'You are not a member of this room.'
    const more = { chatRoomId, clientMessageId: randomUUID() }
    expectRefusal(await post(bob, to(question), more), 'INSUFFICIENT_PERMISSIONS', message)
    expect(await alice.timeline(chatRoomId)).toHaveLength(4)
  })
})

test.each([
  ['x', 50, 'x'.repeat(50)],
  ['x', 51, `${'x'.repeat(40)}...`],
  [EMOJI, 51, `${EMOJI.repeat(40)}...`],
])('its preview cuts %s × %i', async (character, length, shown) => {
  await post(bob, to(text, { replyText: character.repeat(length) }))
  const { body } = await alice.get(`/api/rooms/${roomId}`)
  expect(body.latestMessagePreviewText.reply_text).toBe(shown)
})

test('replyText has 1 to 4000 characters', async () => {
  expect((await post(bob, to(text, { replyText: EMOJI.repeat(4000) }))).status).toBe(200)
  const long = 'msgBody.replyText: must NOT have more than 4000 characters'
  expectRefusal(await post(bob, to(text, { replyText: EMOJI.repeat(4001) })), 'VALIDATION_ERROR', long)
  const empty = 'msgBody.replyText: must NOT have fewer than 1 characters'
  expectRefusal(await post(bob, to(text, { replyText: '' })), 'VALIDATION_ERROR', empty)
})

describe('refuses', () => {
  const NOT_FOUND = 'The message replied to was not found in this room.'

  test.each([
    ['no id', { replyMsgId: null }, 'msgBody.replyMsgId: is required'],
    ['another id', { replyMsgId: '7' }, 'msgBody.replyMsgId: must match format "uuid"'],
    ['no time', { replyCreatedAt: null }, 'msgBody.replyCreatedAt: is required'],
    [
      'no real time',
      { replyCreatedAt: '2026-02-30T00:00:00Z' },
      'msgBody.replyCreatedAt: must match format "timestamp"',
    ],
    ['a number for a time', { replyCreatedAt: 5 }, 'msgBody.replyCreatedAt: must be string'],
    ['no text', { replyText: null }, 'msgBody.replyText: is required'],
    ['U+0000', { replyText: '\0' }, 'replyText may not contain U+0000 or a lone surrogate.'],
  ])('%s', async (_, more, message) => {
    expectRefusal(await post(bob, to(text, more)), 'VALIDATION_ERROR', message)
  })

  test('an unknown message, or another time than its own', async () => {
    const later = new Date(Date.parse(text.createdAt) + 1).toISOString()
    expectRefusal(await post(bob, to(text, { replyMsgId: randomUUID() })), 'CONTENT_NOT_FOUND', NOT_FOUND)
    expectRefusal(await post(bob, to(text, { replyCreatedAt: later })), 'CONTENT_NOT_FOUND', NOT_FOUND)
  })

  test('a message of another room, even of one that the sender is in', async () => {
    const other = await alice.createRoom([bob], 'Other')
    const { body } = await alice.send(other, 'Elsewhere')
    expectRefusal(await post(bob, to(body)), 'CONTENT_NOT_FOUND', NOT_FOUND)
  })

  test('to answer a RoomChange', async () => {
    await alice.post(`/api/rooms/${roomId}/invite/${outsider.id}`)
    const [join] = await alice.timeline(roomId)
    expect(join.msgType).toBe('RoomChange')
    expectRefusal(await post(bob, to(join)), 'VALIDATION_ERROR', 'replyMsgId: a RoomChange cannot be replied to')
    await outsider.post(`/api/rooms/${roomId}/leave`)
    expectRefusal(await post(outsider, to(join)), 'INSUFFICIENT_PERMISSIONS', 'You are not a member of this room.')
  })

  test('an unknown room and who is not in it, whether the message exists or not', async () => {
    const unknown = randomUUID()
    expectRefusal(await post(bob, to(text), { chatRoomId: unknown }), 'CONTENT_NOT_FOUND', 'Room not found.')
    const message = 'You are not a member of this room.'
    expectRefusal(await post(outsider, to(text)), 'INSUFFICIENT_PERMISSIONS', message)
    expectRefusal(await post(outsider, to(text, { replyMsgId: unknown })), 'INSUFFICIENT_PERMISSIONS', message)
  })
})
