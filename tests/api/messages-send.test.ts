/** Sending messages: bodies and their limits, previews, refusals, and the client's own message id. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Person } from '../support/person.ts'
import { expectRefusal } from '../support/refusal.ts'

const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
const UUID = expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
const JSON_TYPE = { 'content-type': 'application/json' }
const EMOJI = '🤗'

let ism: TestIsm
let alice: Person
let bob: Person
let outsider: Person
let roomId: string

beforeAll(async () => {
  ism = await startIsm()
  ;[alice, bob, outsider] = await ism.people('alice', 'bob', 'outsider')
  roomId = await alice.createRoom([bob], 'Cooks')
})
afterAll(() => ism.stop())

const send = (body: unknown, person = alice) => person.post('/api/send-msg', body)
const text = (more: Record<string, unknown> = {}) => ({
  chatRoomId: roomId,
  msgType: 'Text',
  msgBody: { text: 'Hello' },
  ...more,
})
const media = (more: Record<string, unknown> = {}) => ({
  chatRoomId: roomId,
  msgType: 'Media',
  msgBody: { mediaUrl: 'https://media/1', mediaType: 'IMAGE', ...more },
})
const newest = async () => (await bob.timeline(roomId))[0]
const preview = async () => (await bob.get(`/api/rooms/${roomId}`)).body.latestMessagePreviewText

describe('a message is answered whole, and kept as it was answered', () => {
  const bodies: [string, Record<string, unknown>, Record<string, unknown>][] = [
    ['Text', { text: 'Hello, bob!' }, { text: 'Hello, bob!' }],
    ['Text', { text: ' spaces \n and 🤗 stay ', more: 1 }, { text: ' spaces \n and 🤗 stay ' }],
    [
      'Media',
      { mediaUrl: 'https://media/1', mediaType: 'VIDEO', mimeType: 'video/mp4', altText: 'A film', more: {} },
      { mediaUrl: 'https://media/1', mediaType: 'VIDEO', mimeType: 'video/mp4', altText: 'A film' },
    ],
    [
      'Media',
      { mediaUrl: 'u', mediaType: 't', mimeType: null },
      { mediaUrl: 'u', mediaType: 't', mimeType: null, altText: null },
    ],
    [
      'Media',
      { mediaUrl: 'u', mediaType: 't', mimeType: '', altText: '' },
      { mediaUrl: 'u', mediaType: 't', mimeType: '', altText: '' },
    ],
  ]
  test.each(bodies)('%s %j', async (msgType, msgBody, kept) => {
    const { status, body } = await send({ chatRoomId: roomId, msgType, msgBody, clientMessageId: null, colour: 'red' })
    expect(status).toBe(200)
    expect(body).toEqual({
      chatRoomId: roomId,
      messageId: UUID,
      senderId: alice.id,
      msgBody: kept,
      msgType,
      createdAt: TIME,
      roomSeq: expect.any(Number),
      clientMessageId: null,
    })
    expect(await newest()).toEqual(body)
  })

  test('roomSeq counts up by one', async () => {
    const answers = [await send(text()), await send(media()), await send(text())]
    const [first, ...rest] = answers.map(({ body }) => body.roomSeq)
    expect(rest).toEqual([first + 1, first + 2])
  })

  test('the room may be named in upper case', async () => {
    const { body } = await send(text({ chatRoomId: roomId.toUpperCase() }))
    expect(body.chatRoomId).toBe(roomId)
    expect((await newest()).messageId).toBe(body.messageId)
  })
})

describe('the room shows a preview', () => {
  test.each([
    ['50 characters', 'x'.repeat(50), 'x'.repeat(50)],
    ['51 characters', 'x'.repeat(51), `${'x'.repeat(40)}...`],
    ['50 characters of two UTF-16 units', EMOJI.repeat(50), EMOJI.repeat(50)],
    ['51 characters of two UTF-16 units', EMOJI.repeat(51), `${EMOJI.repeat(40)}...`],
    ['quotes', '"\\', '"\\'],
  ])('of a text of %s', async (_, long, shown) => {
    await send(text({ msgBody: { text: long } }))
    expect(await preview()).toEqual({ type: 'Text', sender_username: 'alice', text: shown })
  })

  test('of a picture', async () => {
    await send(media())
    expect(await preview()).toEqual({ type: 'Media', sender_username: 'alice', media_type: 'IMAGE' })
  })

  test('by somebody with a name of 255 characters', async () => {
    const name = `n${EMOJI.repeat(254)}`
    const [longName] = await ism.people(name)
    const room = await longName.createRoom([alice], 'Long')
    await longName.send(room, 'x'.repeat(50))
    expect((await alice.get(`/api/rooms/${room}`)).body.latestMessagePreviewText.sender_username).toBe(name)
  })
})

describe('limits count characters', () => {
  const limits: [string, number, (value: string) => unknown][] = [
    ['text', 4000, (value) => text({ msgBody: { text: value } })],
    ['mediaUrl', 250, (mediaUrl) => media({ mediaUrl })],
    ['mediaType', 80, (mediaType) => media({ mediaType })],
    ['mimeType', 255, (mimeType) => media({ mimeType })],
    ['altText', 1000, (altText) => media({ altText })],
  ]
  test.each(limits)('%s: %i', async (field, limit, body) => {
    for (const character of ['x', EMOJI, 'é']) {
      const longest = character.repeat(limit)
      const { status, body: message } = await send(body(longest))
      expect([status, message.msgBody?.[field]]).toEqual([200, longest])
      const tooLong = `msgBody.${field}: must NOT have more than ${limit} characters`
      expectRefusal(await send(body(longest + character)), 'VALIDATION_ERROR', tooLong)
    }
  })

  test('a body of more than 1 MiB is refused', async () => {
    expectRefusal(await send(text({ padding: 'x'.repeat(1024 * 1024) })), 'PAYLOAD_TOO_LARGE')
  })
})

describe('refuses', () => {
  const refused: [string, () => unknown, string][] = [
    ['no room', () => text({ chatRoomId: undefined }), 'chatRoomId: is required'],
    ['a null room', () => text({ chatRoomId: null }), 'chatRoomId: is required'],
    ['a room that is no id', () => text({ chatRoomId: 'cooks' }), 'chatRoomId: must match format "uuid"'],
    ['no type', () => text({ msgType: undefined }), 'msgType: is required'],
    ['another type', () => text({ msgType: 'text' }), 'msgType: must be one of Text, Media, Reply'],
    [
      'a RoomChange',
      () => ({ chatRoomId: roomId, msgType: 'RoomChange', msgBody: { type: 'UserLeft', related_user: {} } }),
      'msgType: must be one of Text, Media, Reply',
    ],
    ['no body', () => text({ msgBody: null }), 'msgBody: is required'],
    ['a body that is no object', () => text({ msgBody: 'Hello' }), 'msgBody: must be object'],
    ['a list for a body', () => text({ msgBody: [] }), 'msgBody: must be object'],
    ['another type than the body', () => ({ ...media(), msgType: 'Text' }), 'msgBody.text: is required'],
    ['another body than the type', () => text({ msgType: 'Media' }), 'msgBody.mediaUrl: is required'],
    ['a reply without its body', () => text({ msgType: 'Reply' }), 'msgBody.replyMsgId: is required'],
    ['no text', () => text({ msgBody: {} }), 'msgBody.text: is required'],
    ['a null text', () => text({ msgBody: { text: null } }), 'msgBody.text: is required'],
    ['an empty text', () => text({ msgBody: { text: '' } }), 'msgBody.text: must NOT have fewer than 1 characters'],
    ['a number for a text', () => text({ msgBody: { text: 5 } }), 'msgBody.text: must be string'],
    ['an empty mediaUrl', () => media({ mediaUrl: '' }), 'msgBody.mediaUrl: must NOT have fewer than 1 characters'],
    ['an empty mediaType', () => media({ mediaType: '' }), 'msgBody.mediaType: must NOT have fewer than 1 characters'],
    ['no mediaType', () => media({ mediaType: null }), 'msgBody.mediaType: is required'],
    ['a number for a mimeType', () => media({ mimeType: 5 }), 'msgBody.mimeType: must be string'],
    ['U+0000', () => text({ msgBody: { text: 'a\0b' } }), 'text may not contain U+0000 or a lone surrogate.'],
    ['half a pair', () => text({ msgBody: { text: '\ude00' } }), 'text may not contain U+0000 or a lone surrogate.'],
    ['a client id that is no id', () => text({ clientMessageId: '1' }), 'clientMessageId: must match format "uuid"'],
    ['an array', () => [text()], 'body: must be object'],
  ]
  test.each(refused)('%s', async (_, body, message) => {
    expectRefusal(await send(body()), 'VALIDATION_ERROR', message)
  })

  test.each(['', '{', 'Hello', '{"a":1}}', "{'a':1}"])('what is no JSON: %s', async (body) => {
    const answer = await alice.raw('POST', '/api/send-msg', body, JSON_TYPE)
    expectRefusal(answer, 'VALIDATION_ERROR', body ? 'The body is not valid JSON.' : 'A JSON body is required.')
  })

  test('a body that does not say it is JSON', async () => {
    const answer = await alice.raw('POST', '/api/send-msg', JSON.stringify(text()), { 'content-type': 'text/plain' })
    expectRefusal(answer, 'UNSUPPORTED_MEDIA_TYPE')
  })

  test('outsiders, unknown rooms, other methods, no token', async () => {
    expectRefusal(await send(text(), outsider), 'INSUFFICIENT_PERMISSIONS', 'You are not a member of this room.')
    expectRefusal(await send(text({ chatRoomId: randomUUID() })), 'CONTENT_NOT_FOUND', 'Room not found.')
    expectRefusal(await send(text({ msgBody: {} }), outsider), 'VALIDATION_ERROR')
    const answer = await alice.get('/api/send-msg')
    expectRefusal(answer, 'METHOD_NOT_ALLOWED', 'Use POST here.')
    expect(answer.headers.get('allow')).toBe('POST')
    const anonymous = alice.at(ism.url)
    anonymous.token = ''
    expectRefusal(await send(text(), anonymous), 'UNAUTHENTICATED')
  })

  test('each of a crowd for its own reason, at once', async () => {
    const answers = await Promise.all([
      send(text()),
      send(text(), outsider),
      send(text({ chatRoomId: randomUUID() })),
      send(text(), bob),
      send(text({ msgBody: {} })),
    ])
    expect(answers.map(({ status }) => status)).toEqual([200, 403, 404, 200, 400])
  })
})

describe('clientMessageId', () => {
  const count = async () => (await bob.timeline(roomId)).length

  test('is shown to the sender, and to nobody else', async () => {
    const clientMessageId = randomUUID()
    const [own, others] = await Promise.all([alice.stream(), bob.stream()])
    const { body } = await send(text({ clientMessageId: clientMessageId.toUpperCase() }))
    expect(body.clientMessageId).toBe(clientMessageId)
    const isIt = (event: { type: string; message?: { messageId: string } }) =>
      event.message?.messageId === body.messageId
    expect((await own.next(isIt))['message']).toEqual(body)
    expect((await others.next(isIt))['message']).toEqual({ ...body, clientMessageId: null })
    expect((await alice.timeline(roomId))[0]).toEqual(body)
    expect((await bob.timeline(roomId))[0]).toEqual({ ...body, clientMessageId: null })
  })

  test('again is the same message, once', async () => {
    const message = text({ clientMessageId: randomUUID() })
    const first = await send(message)
    const before = await count()
    expect(await send(message)).toMatchObject({ status: 200, body: first.body })
    expect(await send({ ...message, colour: 'red' })).toMatchObject({ status: 200, body: first.body })
    expect(await count()).toBe(before)
  })

  test('again at the same moment is the same message, once', async () => {
    const stream = await bob.stream((await bob.get('/api/notifications/cursor')).body.lastEventId)
    const message = media({ altText: 'once' })
    const before = await count()
    const clientMessageId = randomUUID()
    const answers = await Promise.all(Array.from({ length: 8 }, () => send({ ...message, clientMessageId })))
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1)
    expect(answers[0]?.status).toBe(200)
    expect(await count()).toBe(before + 1)
    const { body: last } = await send(text())
    await stream.next((event) => event['message'].messageId === last.messageId)
    expect(stream.events).toHaveLength(2)
    expect(last.roomSeq).toBe(answers[0]?.body.roomSeq + 1)
  })

  test('with another message is a conflict', async () => {
    const clientMessageId = randomUUID()
    await send(text({ clientMessageId }))
    const other = await alice.createRoom([bob], 'Other')
    const message = 'clientMessageId was used for another message.'
    expectRefusal(await send(text({ clientMessageId, msgBody: { text: 'Other' } })), 'CONFLICT', message)
    expectRefusal(await send({ ...media(), clientMessageId }), 'CONFLICT', message)
    expectRefusal(await send(text({ clientMessageId, chatRoomId: other })), 'CONFLICT', message)
    expect(await bob.timeline(other)).toEqual([])
  })

  test('two messages with it at once: one is sent, one is a conflict', async () => {
    const clientMessageId = randomUUID()
    const answers = await Promise.all([
      send(text({ clientMessageId, msgBody: { text: 'one' } })),
      send(text({ clientMessageId, msgBody: { text: 'other' } })),
    ])
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409])
  })

  test('of another sender is another message', async () => {
    const clientMessageId = randomUUID()
    const [one, other] = await Promise.all([send(text({ clientMessageId })), send(text({ clientMessageId }), bob)])
    expect([one.status, other.status]).toEqual([200, 200])
    expect(one.body.messageId).not.toBe(other.body.messageId)
  })

  test('of a refused message is free', async () => {
    const clientMessageId = randomUUID()
    const body = text({ clientMessageId })
    expectRefusal(await send(body, outsider), 'INSUFFICIENT_PERMISSIONS')
    await alice.post(`/api/rooms/${roomId}/invite/${outsider.id}`)
    expect((await send(body, outsider)).status).toBe(200)
  })
})
