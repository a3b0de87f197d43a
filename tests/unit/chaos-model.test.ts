/** The checker of the chaos runs can fail: each fault in what a device was told is found, and nothing else is. */
import { beforeEach, describe, expect, test } from 'vitest'
import { encodeCursor } from '../../src/log/cursor.ts'
import { judgeDevices } from '../chaos/device-verdict.ts'
import { FAULTS, Findings } from '../chaos/findings.ts'
import { Model } from '../chaos/model.ts'
import { judgeReads } from '../chaos/room-verdict.ts'
import { Sight } from '../chaos/sight.ts'
import { Person } from '../support/person.ts'

const ROOM = 'room'
const CREATED_AT = '2026-01-01T00:00:00.000Z'
const alice = new Person('', 'alice-id', 'alice', '')
const bob = new Person('', 'bob-id', 'bob', '')

let model: Model
beforeEach(() => {
  model = new Model([alice, bob], new Findings())
  model.expectGroup('tea', [alice])
})

const event = (type: string, seq: number, more: object) => ({ type, seq, eventId: '', createdAt: CREATED_AT, ...more })
const opened = (seq: number) => event('NewRoom', seq, { room: { id: ROOM, roomType: 'Group', roomName: 'tea' } })
const left = (seq: number) => event('LeaveRoom', seq, { roomId: ROOM })
const read = (seq: number) => event('UserReadChat', seq, { roomId: ROOM, userId: bob.id, roomSeq: 3 })

const message = (roomSeq: number, more = {}) => ({
  chatRoomId: ROOM,
  messageId: `message ${roomSeq}`,
  senderId: alice.id,
  msgType: 'Text',
  msgBody: { text: `0.${roomSeq} hello` },
  createdAt: CREATED_AT,
  roomSeq,
  clientMessageId: null,
  ...more,
})
const change = (roomSeq: number, type: 'UserJoined' | 'UserLeft') =>
  message(roomSeq, { msgType: 'RoomChange', msgBody: { type, related_user: { id: bob.id } } })
const said = (seq: number, roomSeq: number, more = {}) => event('ChatMessage', seq, { message: message(roomSeq, more) })
const changed = (seq: number, roomSeq: number, type: 'UserJoined' | 'UserLeft') =>
  event('RoomChangeEvent', seq, { message: change(roomSeq, type) })

/** Alice's, of the whole history: bob joins with message 2 and leaves with message 5. */
const WHOLE = [
  opened(1),
  said(2, 1),
  changed(3, 2, 'UserJoined'),
  said(5, 3),
  read(6),
  said(7, 4),
  changed(9, 5, 'UserLeft'),
]
const OF_BOB = [opened(4), said(5, 3), read(6), said(7, 4), left(8)]

type Told = { person: Person; events: ReturnType<typeof event>[]; from?: number; through?: number }

/** What is found where these devices were told these events. */
function found(devices: Told[], { isKept = true } = {}): Record<string, number> {
  const sights = devices.map(({ person, events, from = 0, through = 20 }) => {
    const sight = new Sight(model, person, from)
    for (const each of events) sight.take(each)
    sight.moveTo(encodeCursor({ epoch: 'ab', seq: through }))
    return { person, loads: [], sights: [sight] }
  })
  judgeDevices(model, sights, new Set(isKept ? model.rooms.values() : []))
  const counts = Object.entries(model.findings.counts).filter(([, count]) => count > 0)
  return Object.fromEntries(counts)
}

const alicesWhole = { person: alice, events: WHOLE }

test('nothing, where everybody was told everything', () => {
  expect(found([alicesWhole, { person: bob, events: OF_BOB }])).toEqual({})
  expect(FAULTS).toHaveLength(5)
})

test('nothing, where a device came in the middle or went away before the end', () => {
  const late = { person: bob, events: OF_BOB.slice(2), from: 5 }
  const early = { person: bob, events: OF_BOB.slice(0, 2), through: 5 }
  expect(found([alicesWhole, { person: bob, events: OF_BOB }, late, early])).toEqual({})
})

describe('lost', () => {
  const whole = { person: bob, events: OF_BOB }

  test.each([
    ['a message in the middle', WHOLE.filter(({ seq }) => seq !== 5), alice],
    ['the newest message', WHOLE.slice(0, -1), alice],
    ['the first message', OF_BOB.filter(({ seq }) => seq !== 5), bob],
    ['somebody who has read', OF_BOB.filter(({ seq }) => seq !== 6), bob],
    ['a LeaveRoom', OF_BOB.slice(0, -1), bob],
    ['a NewRoom', OF_BOB.slice(1), bob],
  ])('%s', (_, events, person) => {
    expect(found([alicesWhole, whole, { person, events }])).toEqual({ lost: 1 })
  })

  test('a message in whose place another one stands', () => {
    model.learn(message(4, { messageId: 'answered' }), 'an answer')
    expect(found([alicesWhole])).toEqual({ lost: 1 })
  })
})

describe('a mark-read that was answered', () => {
  const at = Date.parse(CREATED_AT)
  const lost = (userId: string, roomSeq: number, answeredAt = at) => {
    found([alicesWhole])
    const record = model.record(ROOM)
    record.answeredReads.push({ userId, roomSeq, at: answeredAt })
    judgeReads(model, record)
    return model.findings.counts.lost
  }

  test.each([
    ['is lost where nobody was told', bob, 4, 1],
    ['is told of by a UserReadChat', bob, 3, 0],
    ['is nothing new to who has sent so far', alice, 4, 0],
  ])('%s', (_, { id }, roomSeq, count) => {
    expect(lost(id, roomSeq)).toBe(count)
  })

  test('is lost where they only sent something later', () => {
    expect(lost(alice.id, 4, at - 5_000)).toBe(1)
  })

  test('is nothing new to who has just come', () => {
    const record = model.learn(change(6, 'UserJoined'), 'a timeline')
    for (const roomSeq of [5, 6]) record.answeredReads.push({ userId: bob.id, roomSeq, at })
    judgeReads(model, record)
    expect(model.findings.examples).toEqual([expect.stringContaining('has read up to 6')])
  })
})

test('doubled: an event that comes again, a message that stands in two places', () => {
  model.newKey(alice)
  expect(found([{ person: alice, events: [...WHOLE, said(7, 4)] }])).toEqual({ doubled: 1 })
  expect(found([{ person: alice, events: [said(10, 6, { msgBody: { text: '0.4 hello' } })], from: 9 }])).toEqual({
    doubled: 2,
  })
})

test('out of order: after a later one, or as another number of the log', () => {
  const events = WHOLE.map((each, n) => WHOLE[n === 3 ? 5 : n === 5 ? 3 : n] ?? each)
  expect(found([alicesWhole, { person: alice, events }])).toMatchObject({ 'out of order': 2 })
  expect(found([{ person: alice, events: [said(8, 4)], from: 7, through: 8 }])).toMatchObject({ 'out of order': 3 })
})

describe('delivered to a non-member', () => {
  test('after they left', () => {
    const events = [...OF_BOB, changed(9, 5, 'UserLeft')]
    expect(found([alicesWhole, { person: bob, events }])).toEqual({ 'delivered to a non-member': 1 })
  })

  test('on a device that was not told of their coming and going', () => {
    const device = { person: bob, events: [changed(9, 5, 'UserLeft')], from: 8 }
    expect(found([alicesWhole, { person: bob, events: OF_BOB }, device])).toEqual({ 'delivered to a non-member': 1 })
  })
})

describe('of a room that has come to its end', () => {
  test('its LeaveRoom is enough for who was away', () => {
    expect(found([alicesWhole, { person: bob, events: [left(8)] }], { isKept: false })).toEqual({})
    expect(found([{ person: bob, events: [opened(4), said(5, 3), left(8)] }], { isKept: false })).toEqual({})
  })

  test('but not without it, nor with a hole', () => {
    const whole = { person: bob, events: OF_BOB }
    const events = [opened(4), said(7, 4), left(8)]
    expect(found([alicesWhole, whole, { person: bob, events }], { isKept: false })).toEqual({ lost: 1 })
    expect(found([{ person: bob, events: [] }], { isKept: false })).toEqual({ lost: 2 })
  })
})

test('wrong in the timeline: a message that is another one there', () => {
  model.learn(message(4, { msgBody: { text: '0.4 good-bye' } }), 'a timeline')
  expect(found([alicesWhole])).toEqual({ lost: 1 })
  model.learn(message(4), 'a timeline')
  expect(model.findings.counts['wrong in the timeline']).toBe(1)
})
