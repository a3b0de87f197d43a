/** What was answered 200, room by room, and what follows from it for timelines and streams. */
import { expect } from 'vitest'
import type { WireEvent } from './event-stream.ts'
import type { Answer, Person } from './person.ts'

type Message = Answer['body']

export class Ledger {
  readonly #rooms = new Map<string, Message[]>()
  readonly #members = new Map<string, Set<string>>()

  /** @param members they see everything that is recorded of the room */
  addRoom(roomId: string, members: readonly Person[]): void {
    this.#rooms.set(roomId, [])
    this.#members.set(roomId, new Set(members.map(({ id }) => id)))
  }

  record(message: Message): void {
    this.#rooms.get(message.chatRoomId)?.push(message)
  }

  get rooms(): string[] {
    return [...this.#rooms.keys()]
  }

  /** Room, number and id of each message. */
  keys(): string[] {
    return this.rooms.flatMap((roomId) =>
      this.#messages(roomId).map(({ roomSeq, messageId }) => `${roomId} ${roomSeq} ${messageId}`),
    )
  }

  /** How many messages the person has to get. */
  countFor(person: Person): number {
    return this.roomsOf(person).reduce((count, roomId) => count + this.#messages(roomId).length, 0)
  }

  /** Each message answered once, numbered from 1 without a hole, at a time of its own that rises with the number. */
  expectNumbered(): void {
    for (const roomId of this.rooms) {
      const messages = this.#messages(roomId)
      const misnumbered = messages.filter(({ roomSeq }, n) => roomSeq !== n + 1)
      expect(misnumbered.slice(0, 2), 'the first after a hole, or numbered as the one before').toEqual([])
      const times = messages.map(({ createdAt }) => Date.parse(createdAt))
      const notAfter = messages.filter((_, n) => n > 0 && !((times[n] ?? 0) > (times[n - 1] ?? 0)))
      expect(notAfter.slice(0, 2), 'messages that are not later than the one before').toEqual([])
      expect(new Set(messages.map(({ messageId }) => messageId)).size).toBe(messages.length)
    }
  }

  /** Page by page, it is what was answered. */
  async expectTimeline(person: Person, roomId: string): Promise<void> {
    const timeline = await person.timeline(roomId)
    const wanted = this.#messages(roomId).map((message) => asSeenBy(person, message))
    expectSame(timeline.reverse(), wanted, `the timeline of ${person.name}`)
  }

  /** Of all messages of the person's rooms each came once, in order, as it was answered; and nobody else's. */
  expectStream(person: Person, events: readonly WireEvent[]): void {
    const seqs = events.map(({ seq }) => seq)
    const turns = events.filter(({ seq }, n) => n > 0 && !(seq > (seqs[n - 1] ?? 0)))
    expect(turns.map(describeEvent), `events of ${person.name} that are not after the one before`).toEqual([])
    const came = events.filter(({ type }) => type === 'ChatMessage').map((event) => event['message'] as Message)
    for (const roomId of this.roomsOf(person)) {
      const wanted = this.#messages(roomId).map((message) => asSeenBy(person, message))
      const ofRoom = came.filter(({ chatRoomId }) => chatRoomId === roomId)
      expectSame(ofRoom, wanted, `the stream of ${person.name}`)
    }
    expect(came.length, `messages in the stream of ${person.name}`).toBe(this.countFor(person))
  }

  /** The rooms that the person is in. */
  roomsOf(person: Person): string[] {
    return this.rooms.filter((roomId) => this.#members.get(roomId)?.has(person.id))
  }

  #messages(roomId: string): Message[] {
    return (this.#rooms.get(roomId) ?? []).sort((one, other) => one.roomSeq - other.roomSeq)
  }
}

function asSeenBy(person: Person, message: Message): Message {
  return message.senderId === person.id ? message : { ...message, clientMessageId: null }
}

/** In words first: a difference of hundreds of messages is nothing to read. */
function expectSame(found: Message[], wanted: Message[], what: string): void {
  const numbers = (messages: Message[]) => messages.map(({ roomSeq }) => roomSeq)
  const [have, want] = [numbers(found), numbers(wanted)]
  const [known, expected] = [new Set(have), new Set(want)]
  const missing = want.filter((roomSeq) => !known.has(roomSeq))
  const foreign = have.filter((roomSeq) => !expected.has(roomSeq))
  const seen = new Set<number>()
  const twice = have.filter((roomSeq) => seen.size === seen.add(roomSeq).size)
  expect({ missing, twice, foreign }, `roomSeqs in ${what}`).toEqual({ missing: [], twice: [], foreign: [] })
  expect(have, `order in ${what}`).toEqual(want)
  expect(found, what).toEqual(wanted)
}

const describeEvent = ({ type, seq, reason }: WireEvent) => `${type} ${seq} ${reason ?? ''}`
