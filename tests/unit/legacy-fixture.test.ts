/** The data of the fixture of ISM 0.7.9: the same each time, and with the odd cases that the tests of the move rely on. */
import { expect, it } from 'vitest'
import { createCommunity, personNamed, roomCalled } from '../support/fixture-0.7.9/community.ts'
import { toStoredJson, toTimestamp, toWire } from '../support/fixture-0.7.9/time.ts'

const community = createCommunity()
const { people, relationships, rooms } = community
const labelOf = (id: string) => people.find((person) => person.id === id)?.label

it('is the same for the same seed', () => {
  expect(createCommunity()).toEqual(community)
  expect(createCommunity(80)).not.toEqual(community)
})

it('has enough of everything, each id and label once', () => {
  const messages = rooms.flatMap((room) => room.messages)
  expect(people.length).toBeGreaterThan(20)
  expect(rooms.length).toBeGreaterThan(40)
  expect(messages.length).toBeGreaterThan(5_000)
  expect(new Set(messages.map(({ type }) => type))).toEqual(new Set(['Text', 'Media', 'Reply', 'RoomChange']))
  for (const all of [people, rooms]) expect(new Set(all.map(({ label }) => label)).size).toBe(all.length)
  const ids = [...people, ...rooms, ...messages].map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
})

it('has messages in order, ties and all, and no preview that does not fit', () => {
  for (const { messages, preview, label } of rooms) {
    const times = messages.map(({ createdAt }) => createdAt)
    expect(times, label).toEqual([...times].sort((a, b) => a - b))
    expect([...(preview ?? '')].length, label).toBeLessThanOrEqual(255)
  }
  expect([...(roomCalled(community, 'preview of 255 characters').preview ?? '')]).toHaveLength(255)
  const unfit = roomCalled(community, 'preview of 256 characters')
  expect(Number(unfit.latestMessage)).toBeLessThan(Number(unfit.messages.at(-1)?.createdAt) * 1_000)
})

it('has members who read never, long ago, almost, exactly and later than the latest message, to the microsecond', () => {
  const differences = rooms.flatMap(({ latestMessage, members }) =>
    latestMessage === null ? [] : members.map(({ readAt }) => readAt && Math.sign(readAt - latestMessage + 0.5)),
  )
  expect(new Set(differences)).toEqual(new Set([null, -1, 1]))
  const almost = rooms.some(({ latestMessage, members }) =>
    members.some(({ readAt }) => readAt === Number(latestMessage) - 1),
  )
  expect(almost).toBe(true)
  expect(rooms.some(({ latestMessage }) => Number(latestMessage) % 1_000 > 0)).toBe(true)
})

it('has every relationship in order and out of order, and pairs that are there both ways round', () => {
  const states = (list: typeof relationships) => new Set(list.map(({ state }) => state))
  const all = new Set(['A_BLOCKED', 'B_BLOCKED', 'ALL_BLOCKED', 'FRIEND', 'A_INVITED', 'B_INVITED'])
  expect(states(relationships.filter(({ userA, userB }) => userA < userB))).toEqual(all)
  expect(states(relationships.filter(({ userA, userB }) => userA > userB))).toEqual(all)
  const twice = relationships.filter(({ userA, userB }) =>
    relationships.some((other) => other.userA === userB && other.userB === userA),
  )
  expect(twice.map(({ userA }) => labelOf(userA)).sort()).toEqual([
    'Carol',
    'Carol',
    'Carol',
    'Peggy',
    'Rupert',
    'Trent',
  ])
})

it('has deleted people who are friends, members and authors', () => {
  const { id } = personNamed(community, 'Deleted')
  expect(relationships.some(({ userB, userA, state }) => [userA, userB].includes(id) && state === 'FRIEND')).toBe(true)
  expect(rooms.some(({ members }) => members.some(({ userId, state }) => userId === id && state === 'Joined'))).toBe(
    true,
  )
  expect(rooms.some(({ messages }) => messages.some(({ senderId }) => senderId === id))).toBe(true)
})

it('writes times as each store has them', () => {
  const time = Date.parse('2025-03-01T00:00:00Z') * 1_000 + 123_456
  expect([toTimestamp(time), toWire(time), toStoredJson(time)]).toEqual([
    '2025-03-01T00:00:00.123456Z',
    '2025-03-01T00:00:00.123Z',
    '2025-03-01T00:00:00.123456Z',
  ])
  expect([time - 456, time - 123_456].map(toStoredJson)).toEqual(['2025-03-01T00:00:00.123Z', '2025-03-01T00:00:00Z'])
})
