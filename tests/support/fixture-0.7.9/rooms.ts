/** The rooms of the fixture: first each odd case under its own label, then ordinary ones. */
import type { Random } from '../random.ts'
import { type LegacyMessage, media, reply, roomChange, text } from './messages.ts'
import { type LegacyPerson, randomId } from './people.ts'
import { type LegacyRoom, RoomBuilder } from './room-builder.ts'
import { at, DAY, SECOND } from './time.ts'

export type { LegacyMember, LegacyRoom } from './room-builder.ts'

const BEGIN = at('2025-04-01T08:00:00Z')
/** `latest_message_preview_text` takes no more. */
const COLUMN = 255

export function createRooms(random: Random, people: LegacyPerson[]): LegacyRoom[] {
  const builder = new RoomBuilder(random, people, BEGIN)
  addLengths(builder, random)
  addTies(builder)
  addSilence(builder)
  addPreviews(builder, random)
  addBodies(builder)
  addMemberships(builder)
  addPrivateRooms(builder)
  addOrdinaryRooms(builder, random)
  return builder.rooms
}

function addLengths(build: RoomBuilder, random: Random): void {
  const crew = ['Alice', 'Bob', 'Carol', 'Dave', 'Accented', 'Chinese']
  const years = { from: at('2023-01-01T00:00:00Z'), spacing: 10 * 3_600_000 }
  const messages = withTies(random, build.say(crew, 2_600, years))
  build.group('the long one', { members: crew, hasPicture: true, messages })
  for (const count of [1, 24, 25, 26, 50, 51]) {
    build.group(`of ${count}`, { members: ['Alice', 'Dave', 'Eve'], messages: build.say(['Alice', 'Dave'], count) })
  }
  const bursts = ['2016-02-29T12:00:00Z', '2019-12-31T23:59:00Z', '2025-10-26T00:30:00Z']
  build.group('years apart', {
    members: ['Alice', 'Walter'],
    messages: bursts.flatMap((from) => build.say(['Alice', 'Walter'], 10, { from: at(from) })),
  })
}

/** Counted from the newest, from 1; a page ends after 25. */
function addTies(build: RoomBuilder): void {
  const members = ['Carol', 'Dave']
  const add = (label: string, count: number, from: number, to: number) =>
    build.group(label, { members, messages: atOneTime(build.say(members, count), from, to) })
  add('tie of 2 over the edge', 60, 25, 26)
  add('tie of 2 before the edge', 60, 24, 25)
  add('tie of 3 over the edge', 60, 24, 26)
  add('tie of 30 over the edge', 80, 11, 40)
  add('tie of 30 at the beginning', 55, 26, 55)
  add('tie of 30 and nothing else', 30, 1, 30)
  add('tie at the beginning, on a full page', 25, 23, 25)
}

function addSilence(build: RoomBuilder): void {
  build.group('silent', { members: ['Alice', 'Eve'], isUntouched: true })
  build.group('silent since it was made', { members: ['Alice', 'Bob', 'Frank'] })
  const messages = build.say(['Frank'], 12)
  build.group('nameless', { members: ['Alice', 'Frank'], name: null, hasPicture: true, messages })
  build.group('nameless and silent', { members: ['Frank', 'Grace'], name: null, isUntouched: true })
}

function addPreviews(build: RoomBuilder, random: Random): void {
  for (const length of [COLUMN, COLUMN + 1]) {
    const sender = build.person('Long')
    const said = build.say(['Bob'], 3)
    const createdAt = (said.at(-1)?.createdAt ?? 0) + 5_000
    const shown = { id: randomId(random), senderId: sender.id, createdAt, ...mediaWithPreviewOf(length, sender) }
    build.group(`preview of ${length} characters`, { members: ['Bob', 'Long'], messages: [...said, shown] })
  }
}

function addBodies(build: RoomBuilder): void {
  const texts = ['x'.repeat(4_000), '🐫'.repeat(4_000), ' \u2028 \u200d\u{10FFFF}']
  build.group('unicode and length', {
    members: ['Alice', 'Emoji'],
    name: 'ñ𝔘🐫'.repeat(85),
    messages: build.say(['Emoji'], 3).map((message, n) => ({ ...message, ...text(texts[n] ?? '') })),
  })
  const members = ['Alice', 'Bob']
  build.group('replies', { members, messages: replies(build.say(members, 33)) })
}

function addMemberships(build: RoomBuilder): void {
  const joined = { joinedAt: BEGIN + 123_456, readAt: null, state: 'Joined' }
  const change = (label: string, type: 'UserJoined' | 'UserLeft' | 'UserInvited', member = joined) => {
    const person = build.person(label)
    return { senderId: person.id, ...roomChange(type, person, member) }
  }
  const changes = [
    {},
    change('Heidi', 'UserJoined'),
    change('Niaj', 'UserInvited', { ...joined, state: 'Invited' }),
    {},
    change('Deleted', 'UserLeft', { ...joined, joinedAt: BEGIN + SECOND / 2, state: 'Left' }),
    change('Heidi', 'UserLeft', { ...joined, joinedAt: BEGIN, state: 'Left' }),
  ]
  build.group('comings and goings', {
    members: ['Judy', 'Ivan', 'Heidi:Left', 'Niaj:Invited', 'Deleted:Left', 'Sybil'],
    messages: build.say(['Judy', 'Heidi'], 6).map((message, n) => ({ ...message, ...changes[n] })),
  })
  const said = build.say(['Sybil', 'Trent'], 28)
  build.group('joined last', {
    members: ['Sybil', 'Trent', 'Ivan'],
    messages: said.map((message, n) => (n < 27 ? message : { ...message, ...change('Ivan', 'UserJoined') })),
  })
  build.group('left by all but one', {
    members: ['Peggy', 'Rupert:Left', 'Judy:Left'],
    hasPicture: true,
    messages: build.say(['Peggy', 'Rupert'], 40),
  })
  const messages = build.say(['Deleted', 'Bob'], 30)
  build.group('with a deleted member', { members: ['Bob', 'Deleted', 'Judy'], messages })
  const trent = build.say(['Trent'], 27)
  build.group('with a picture', { members: ['Sybil', 'Trent', 'Long'], hasPicture: true, messages: trent })
}

function addPrivateRooms(build: RoomBuilder): void {
  const ofTwo = (label: string, members: [string, string], count: number) =>
    build.single(label, { members, messages: build.say(members, count) })
  ofTwo('of Alice and Bob', ['Alice', 'Bob'], 70)
  build.single('second of Alice and Bob', {
    members: ['Alice', 'Bob'],
    createdAt: BEGIN,
    messages: build.say(['Bob'], 31, { from: BEGIN + DAY }),
  })
  ofTwo('with somebody deleted', ['Deleted', 'Alice'], 28)
  ofTwo('of two who blocked each other', ['Alice', 'Grace'], 26)
  ofTwo('with a long name', ['Longest', 'Emoji'], 4)
  build.single('never read', { members: ['Bob', 'Carol'], messages: build.say(['Carol'], 5), isUnread: true })
  build.single('silent of two', { members: ['Alice', 'Dave'], isUntouched: true })
}

function addOrdinaryRooms(build: RoomBuilder, random: Random): void {
  const all = build.people.filter(({ label, deletedAt }) => deletedAt === null && label !== 'Roomless')
  const labels = all.map(({ label }) => label)
  build.group('everybody', { members: labels, messages: build.say(labels, 130) })
  const others = ['Heidi', 'Ivan', 'Judy', 'Mallory', 'Niaj', 'Olivia', 'Peggy', 'Rupert', 'Sybil', 'Trent', 'Walter']
  for (let n = 0; n < 6; n++) {
    const members = others.slice(n, n + 4)
    const pair = members.slice(0, 2)
    build.single(`ordinary ${n}`, { members: pair, messages: build.say(pair, random.below(120)) })
    build.group(`ordinary group ${n}`, { members, messages: build.say(pair, random.below(300)) })
  }
}

/** Those from the `from`-th to the `to`-th, counted from the newest, share the time of the oldest of them. */
function atOneTime(messages: LegacyMessage[], from: number, to: number): LegacyMessage[] {
  const createdAt = messages.at(-to)?.createdAt ?? 0
  return messages.map((message, n) => {
    const place = messages.length - n
    return place >= from && place <= to ? { ...message, createdAt } : message
  })
}

/** One in twenty has the time of the one before. */
function withTies(random: Random, messages: LegacyMessage[]): LegacyMessage[] {
  let previous = 0
  return messages.map((message) => {
    if (previous === 0 || random.next() >= 0.05) previous = message.createdAt
    return { ...message, createdAt: previous }
  })
}

/** The last three quote a text of the room's beginning, a media, and a reply. */
function replies(messages: LegacyMessage[]): LegacyMessage[] {
  const [said, shown, ...more] = messages as [LegacyMessage, LegacyMessage, ...LegacyMessage[]]
  const first = { ...said, ...text('the very first, ü') }
  const second = { ...shown, ...media('image/png', 'a camel 🐫') }
  const all = [first, second, ...more.slice(0, -3)]
  for (const [n, answer] of more.slice(-3).entries()) {
    const quoted = [first, second, all.at(-1)][n] as LegacyMessage
    all.push({ ...answer, ...reply(quoted, `answer ${n}`) })
  }
  return all
}

/** A media whose preview fills so many characters. */
function mediaWithPreviewOf(length: number, { displayName }: LegacyPerson): Pick<LegacyMessage, 'type' | 'body'> {
  const rest = JSON.stringify({ type: 'Media', sender_username: displayName, media_type: '' }).length
  const body = {
    mediaUrl: 'https://cdn.example.com/m',
    mediaType: 'm'.repeat(length - rest),
    mimeType: null,
    altText: null,
  }
  return { type: 'Media', body: JSON.stringify(body) }
}
