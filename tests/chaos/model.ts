/** What has been answered and told so far, of all rooms; it speaks up where two words of it do not agree. */
import type { WireEvent } from '../support/event-stream.ts'
import type { Person } from '../support/person.ts'
import type { Findings } from './findings.ts'
import { type Message, RoomRecord } from './room-record.ts'

/** How a message's text begins, or its alternative text: which sender's, and which of theirs. */
const KEY = /^(\d+)\.(\d+) /
const keyOf = (sender: number, turn: number) => `${sender}.${turn} `

/** Above any roomSeq: room and roomSeq as one number. */
const ROOM_FACTOR = 2 ** 24

export type RoomKind = 'Group' | 'Single'
export type Origin = 'an answer' | 'a stream' | 'a timeline'

export class Model {
  readonly findings: Findings
  readonly people: readonly Person[]
  readonly rooms = new Map<string, RoomRecord>()
  readonly tally = { sends: 0, answered: 0, delivered: 0, resyncs: 0, timelines: 0, connections: 0 }
  /** Called with a room whose founders have just become known. */
  onFounded: (record: RoomRecord, kind: RoomKind, founders: Person[]) => void = () => {}
  #answerWaiters: { count: number; resolve: () => void }[] = []
  readonly #byName: Map<string, Person>
  readonly #groups = new Map<string, Person[]>()
  /** Where each sender's messages stand, by their number. */
  readonly #places: number[][]

  constructor(people: readonly Person[], findings: Findings) {
    this.people = people
    this.findings = findings
    this.#byName = new Map(people.map((person) => [person.name, person]))
    this.#places = people.map(() => [])
  }

  /** A send was answered 200. */
  countAnswer(): void {
    this.tally.answered++
    const due = this.#answerWaiters.filter(({ count }) => count <= this.tally.answered)
    this.#answerWaiters = this.#answerWaiters.filter((waiter) => !due.includes(waiter))
    for (const { resolve } of due) resolve()
  }

  /** Resolves in the very moment in which so many more sends are answered. */
  answers(more: number): Promise<void> {
    const count = this.tally.answered + more
    return new Promise((resolve) => this.#answerWaiters.push({ count, resolve }))
  }

  record(roomId: string): RoomRecord {
    const known = this.rooms.get(roomId)
    if (known) return known
    const record = new RoomRecord(roomId, this.rooms.size + 1)
    this.rooms.set(roomId, record)
    return record
  }

  /** A group of this name may come to be, with these people in it. */
  expectGroup(name: string, founders: Person[]): void {
    this.#groups.set(name, founders)
  }

  /** @param room as `viewer` sees it, in an answer or a NewRoom */
  heardOfRoom(room: WireEvent['room'], viewer: Person): RoomRecord {
    const record = this.record(room.id)
    if (record.founders) return record
    const other = this.#byName.get(room.roomName)
    const founders = room.roomType === 'Single' ? other && [viewer, other] : this.#groups.get(room.roomName)
    if (!founders) {
      this.findings.unexpected(`a room that nobody made: ${JSON.stringify(room)}`)
      return record
    }
    record.founders = founders.map(({ id }) => id)
    this.onFounded(record, room.roomType, founders)
    return record
  }

  /** The beginning of the text of a message that can be told from all others. */
  newKey(sender: Person): string {
    const index = this.people.indexOf(sender)
    const places = this.#places[index] as number[]
    return keyOf(index, places.push(0) - 1)
  }

  /** Whoever is told of a message by an answer or a timeline is not alone: from now on every timeline has to show it. */
  learn(message: Message, origin: Origin): RoomRecord {
    const record = this.record(message.chatRoomId)
    const learnt = record.learn(message)
    if (learnt === 'another') {
      const fault = origin === 'a timeline' ? 'wrong in the timeline' : 'lost'
      this.findings.fault(fault, `another message than before came by ${origin}: ${JSON.stringify(message)}`)
    }
    if (learnt === 'new') this.#place(message, record)
    if (origin !== 'a stream') record.shown = Math.max(record.shown, message.roomSeq)
    return record
  }

  /** No message that was sent once stands in two places. */
  #place(message: Message, record: RoomRecord): void {
    const { text, replyText, altText } = message.msgBody
    const [, sender, turn] = KEY.exec(text ?? replyText ?? altText ?? '') ?? []
    if (turn === undefined) return
    const places = this.#places[Number(sender)]
    const place = record.index * ROOM_FACTOR + message.roomSeq
    const known = places?.[Number(turn)]
    if (known) this.findings.fault('doubled', `sent once and there twice: ${JSON.stringify(message)}`)
    else if (places) places[Number(turn)] = place
  }
}
