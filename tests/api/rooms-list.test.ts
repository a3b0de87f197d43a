/** What a list of rooms says of each, whatever has become of it; one room alone is asked for by the same statement. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { trimLog } from '../support/archive.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Answer, Person } from '../support/person.ts'

let ism: TestIsm
let alice: Person
let bob: Person
let carol: Person
beforeAll(async () => {
  ism = await startIsm()
  await ism.sql.query(
    `do $$ begin execute format('alter database %I set timezone = ''Asia/Kathmandu''', current_database()); end $$`,
  )
  ;[alice, bob, carol] = await ism.people('alice', 'bob', 'carol')
  await ism.sql.query('update app_user set profile_picture = $2 where id = $1', [bob.id, 'https://pictures/bob'])
})
afterAll(() => ism.stop())

const text = (sender: Person, text: string) => ({ type: 'Text', sender_username: sender.name, text })
const group = (name: string) => alice.createRoom([bob, carol], name)
const read = (person: Person, roomId: string, roomSeq?: number) =>
  person.post(`/api/rooms/${roomId}/mark-read`, roomSeq === undefined ? undefined : { roomSeq })

/** What differs from a room that nobody has said or read anything in. */
async function listed(): Promise<Record<string, Answer['body']>> {
  const { body } = await alice.get('/api/rooms')
  for (const room of body) expect((await alice.get(`/api/rooms/${room.id}`)).body).toEqual(room)
  return Object.fromEntries(
    body.map(({ roomName, unread, unreadCount, latestMessagePreviewText }: Answer['body']) => [
      roomName,
      [unread, unreadCount, latestMessagePreviewText],
    ]),
  )
}

test('each room has its own newest message, count and picture, also once the log is trimmed', async () => {
  const rooms = new Map<string, string>()
  for (const name of [
    'empty',
    'own',
    'of others',
    'answered',
    'read',
    'read in part',
    'read, then sent',
    'left',
    'joined',
  ])
    rooms.set(name, await group(name))
  const id = (name: string) => rooms.get(name) ?? ''
  const single = await alice.createRoom([bob])
  await alice.send(id('own'), 'mine')
  for (const name of ['of others', 'read', 'read in part', 'left'])
    for (const n of [1, 2, 3]) await bob.send(id(name), `${n}`)
  for (const person of [alice, bob, carol]) await person.send(id('answered'), 'answer')
  await read(alice, id('read'))
  await read(alice, id('read in part'), 2)
  await read(alice, id('read, then sent'))
  await alice.send(id('read, then sent'), 'one')
  await carol.send(id('read, then sent'), 'two')
  for (const name of ['left', 'joined']) await alice.post(`/api/rooms/${id(name)}/leave`)
  await bob.send(id('joined'), 'meanwhile')
  await bob.post(`/api/rooms/${id('joined')}/invite/${alice.id}`)
  await bob.send(single, 'hello')

  const expected = {
    empty: [true, 0, { type: 'New' }],
    own: [false, 0, text(alice, 'mine')],
    'of others': [true, 3, text(bob, '3')],
    answered: [true, 2, text(carol, 'answer')],
    read: [false, 0, text(bob, '3')],
    'read in part': [true, 1, text(bob, '3')],
    'read, then sent': [true, 1, text(carol, 'two')],
    joined: [true, 1, { type: 'RoomChange', sender_username: alice.name, room_change_type: 'JOIN' }],
    [bob.name]: [true, 1, text(bob, 'hello')],
  }
  expect(await listed()).toEqual(expected)
  expect((await alice.get('/api/rooms')).body[0]).toMatchObject({ id: single, roomImageUrl: 'https://pictures/bob' })
  expect((await bob.get(`/api/rooms/${single}`)).body).toMatchObject({ roomName: alice.name, roomImageUrl: null })

  await trimLog(ism)
  expect(await listed()).toEqual(expected)

  await bob.send(id('own'), 'an answer')
  await alice.send(id('of others'), 'an answer')
  expect(await listed()).toEqual({
    ...expected,
    own: [true, 1, text(bob, 'an answer')],
    'of others': [false, 0, text(alice, 'an answer')],
  })
})

test('times are those of the messages, in UTC and cut to milliseconds, and of what is muted', async () => {
  const roomId = await group('Times')
  const { body: sent } = await bob.send(roomId, 'now')
  await alice.post(`/api/rooms/${roomId}/mute`, { until: '2999-06-30T22:30:00.5+01:00' })
  const setCreated = (time: string) =>
    ism.sql.query('update chat_room set created_at = $2 where id = $1', [roomId, time])
  for (const [stored, shown] of [
    ['2024-02-29T23:59:59.999999Z', '2024-02-29T23:59:59.999Z'],
    ['2024-03-01T00:00:00Z', '2024-03-01T00:00:00.000Z'],
    ['2024-03-01T00:00:00.07Z', '2024-03-01T00:00:00.070Z'],
  ] as const) {
    await setCreated(stored)
    expect((await alice.get(`/api/rooms/${roomId}`)).body).toMatchObject({
      createdAt: shown,
      latestMessage: sent.createdAt,
      muted: true,
      mutedUntil: '2999-06-30T21:30:00.500Z',
    })
  }
})

test('what JSON escapes is escaped in names, pictures and previews, and a stored preview that is cut off looks new', async () => {
  const [zoe] = await ism.people('Zoë "😀" \\')
  await ism.sql.query('update app_user set profile_picture = $2 where id = $1', [zoe.id, 'https://pictures/"zoe"'])
  const single = await zoe.createRoom([alice])
  await zoe.send(single, '"\n\u2028😀\\')
  expect((await alice.get('/api/rooms')).body[0]).toMatchObject({
    roomName: zoe.name,
    roomImageUrl: 'https://pictures/"zoe"',
    latestMessagePreviewText: text(zoe, '"\n\u2028😀\\'),
  })

  const cutOff = await zoe.createRoom([bob], '"')
  await ism.sql.query('update chat_room set latest_message_preview_text = $2 where id = $1', [cutOff, '{"type":"Te'])
  const { body } = await zoe.get('/api/rooms')
  expect(body.map(({ id }: Answer['body']) => id)).toEqual([cutOff, single])
  expect(body[0]).toMatchObject({ roomName: '"', latestMessagePreviewText: { type: 'New' } })
})

test('a long list is whole', async () => {
  const [dora] = await ism.people('dora')
  const name = '"😀"'.repeat(60)
  await ism.sql.query(
    `with room as (
      insert into chat_room (id, created_at, room_type, room_name)
      select gen_random_uuid(), now(), 'Group', $2 from generate_series(1, 200) returning id)
    insert into chat_room_participant (room_id, user_id, joined_at, participant_state)
    select room.id, $1, now(), 'Joined' from room`,
    [dora.id, name],
  )
  const { body } = await dora.get('/api/rooms')
  expect(body.map(({ roomName }: Answer['body']) => roomName)).toEqual(Array(200).fill(name))
})
