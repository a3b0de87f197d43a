/** What one device was told over all of its connections: judged event by event as far as possible, the rest kept small. */
import { decodeCursor } from '../../src/log/cursor.ts'
import type { WireEvent } from '../support/event-stream.ts'
import type { Person } from '../support/person.ts'
import type { Model } from './model.ts'
import type { RoomRecord } from './room-record.ts'

/** One membership as this device saw it: from a NewRoom to a LeaveRoom, and the messages between them. */
export type Stay = {
  /** seq of the NewRoom; undefined where they were in the room already. */
  opened: number | undefined
  closed: number | undefined
  /** roomSeq; 0 where no message came. Those between the two that did not come are counted as lost already. */
  first: number
  last: number
}

export type RoomSight = { stays: Stay[]; reads: number; sumOfReads: number }

/** So many seqs are remembered, to tell what came twice from what came late. */
const RECENT = 2_000

export class Sight {
  readonly person: Person
  /** The device has to be told of everything after this, */
  readonly from: number
  /** and was told of everything up to this. */
  through: number
  readonly rooms = new Map<RoomRecord, RoomSight>()
  readonly #model: Model
  #time = 0
  readonly #recent = new Set<number>()

  constructor(model: Model, person: Person, from: number) {
    this.#model = model
    this.person = person
    this.from = from
    this.through = from
  }

  take(event: WireEvent): void {
    const { seq, type } = event
    this.#model.tally.delivered++
    if (!(seq > this.through)) {
      this.#late(event)
      return
    }
    this.through = seq
    this.#remember(seq)
    const time = Date.parse(event.createdAt)
    if (!(time >= this.#time)) this.#fault('out of order', 'earlier than the one before', event)
    this.#time = time
    if (type === 'ChatMessage' || type === 'RoomChangeEvent') this.#message(event)
    else if (type === 'UserReadChat') this.#read(event)
    else if (type === 'NewRoom') this.#newRoom(event)
    else if (type === 'LeaveRoom') this.#leaveRoom(event)
    else this.#model.findings.unexpected(`an event for ${this.person.name}: ${JSON.stringify(event)}`)
  }

  /** The server says that there is nothing more up to this cursor. */
  moveTo(cursor: string): void {
    this.through = Math.max(this.through, seqOfCursor(cursor))
  }

  /** Nothing comes any more. */
  forgetRecent(): void {
    this.#recent.clear()
  }

  #newRoom(event: WireEvent): void {
    const record = this.#model.heardOfRoom(event['room'], this.person)
    record.learnMark(this.person.id, { seq: event.seq, joined: true })
    this.#sightOf(record).stays.push({ opened: event.seq, closed: undefined, first: 0, last: 0 })
  }

  #leaveRoom(event: WireEvent): void {
    const record = this.#model.record(event['roomId'])
    record.learnMark(this.person.id, { seq: event.seq, joined: false })
    const { stays } = this.#sightOf(record)
    const stay = stays.at(-1)
    if (stay && stay.closed === undefined) stay.closed = event.seq
    else stays.push({ opened: undefined, closed: event.seq, first: 0, last: 0 })
  }

  #message(event: WireEvent): void {
    const { message } = event
    const record = this.#model.learn(message, 'a stream')
    const { roomSeq } = message
    if (!record.learnSeq(roomSeq, event.seq)) this.#fault('out of order', 'with another seq than elsewhere', event)
    if (message.clientMessageId !== null && message.senderId !== this.person.id)
      this.#model.findings.unexpected(`the clientMessageId of somebody else: ${JSON.stringify(event)}`)
    const stay = this.#stayAt(event, record)
    if (!stay) return
    if (stay.first === 0) stay.first = roomSeq
    else if (roomSeq <= stay.last) this.#fault('out of order', `after message ${stay.last} of its room`, event)
    else if (roomSeq > stay.last + 1) this.#hole(record, stay.last, event)
    stay.last = Math.max(stay.last, roomSeq)
  }

  #hole(record: RoomRecord, last: number, { message, seq }: WireEvent): void {
    const example = `${this.person.name} had message ${last} of room ${record.id}, then ${message.roomSeq} (seq ${seq})`
    this.#model.findings.fault('lost', example, message.roomSeq - last - 1)
  }

  #read(event: WireEvent): void {
    const record = this.#model.record(event['roomId'])
    const { userId, roomSeq, createdAt } = event
    record.learnRead(event.seq, { userId, roomSeq, at: Date.parse(createdAt) })
    if (!this.#stayAt(event, record)) return
    const sight = this.#sightOf(record)
    sight.reads++
    sight.sumOfReads += event.seq
  }

  #stayAt(event: WireEvent, record: RoomRecord): Stay | undefined {
    const { stays } = this.#sightOf(record)
    const last = stays.at(-1)
    if (last && last.closed === undefined) return last
    if (last) {
      this.#fault('delivered to a non-member', `who left at ${last.closed}`, event)
      return undefined
    }
    const stay = { opened: undefined, closed: undefined, first: 0, last: 0 }
    stays.push(stay)
    return stay
  }

  #late(event: WireEvent): void {
    if (this.#recent.has(event.seq)) this.#fault('doubled', 'came before', event)
    else this.#fault('out of order', `came after ${this.through}`, event)
  }

  #remember(seq: number): void {
    this.#recent.add(seq)
    if (this.#recent.size <= RECENT) return
    const [oldest] = this.#recent
    this.#recent.delete(oldest as number)
  }

  #sightOf(record: RoomRecord): RoomSight {
    let sight = this.rooms.get(record)
    if (!sight) {
      sight = { stays: [], reads: 0, sumOfReads: 0 }
      this.rooms.set(record, sight)
    }
    return sight
  }

  #fault(fault: Parameters<Model['findings']['fault']>[0], how: string, event: WireEvent): void {
    this.#model.findings.fault(fault, `${this.person.name}, ${how}: ${JSON.stringify(event)}`)
  }
}

/** Clients must not look into a cursor; who judges the server may. */
export function seqOfCursor(text: string): number {
  const cursor = decodeCursor(text)
  if (!cursor) throw new Error(`no cursor: ${text}`)
  return cursor.seq
}
