/** The newest part of the log in memory, so that most resumes read no event from the database. */
import { EventType, type LogEvent } from './event.ts'

/** What an event costs beside its texts: the object, its ids and dates, and its place. */
const OVERHEAD_BYTES = 650
/** The place of one that was erased, until there are too many. */
const ERASED_BYTES = 64
/** A recipient's id: 36 characters, their header, and the place in the array. */
const RECIPIENT_BYTES = 64

/** An event in its place; without it, where it was erased. Those of a room are chained, but for what outlives it. */
type Entry = { seq: number; event: LogEvent | undefined; nextOfRoom: Entry | undefined }

type Chain = { oldest: Entry; newest: Entry }

export class RecentLog {
  /** Every event after `floor`, up to the newest read, is here. */
  floor: number
  #entries: Entry[] = []
  readonly #rooms = new Map<string, Chain>()
  #erased = 0
  #bytes = 0
  readonly #maxBytes: number

  constructor(floor: number, maxBytes: number) {
    this.floor = floor
    this.#maxBytes = maxBytes
  }

  push(event: LogEvent): void {
    if (event.type === EventType.RoomDeleted && event.roomId) this.#erase(event.roomId)
    const entry: Entry = { seq: event.seq, event, nextOfRoom: undefined }
    this.#entries.push(entry)
    if (event.roomId && isErasable(event)) this.#chain(event.roomId, entry)
    this.#bytes += sizeOf(event)
    if (this.#bytes > this.#maxBytes) this.#evict()
  }

  /** The events after `seq`, at most `limit`; `seq` must not be below `floor`. */
  after(seq: number, limit: number): LogEvent[] {
    const events: LogEvent[] = []
    for (let at = this.#placeAfter(seq); at < this.#entries.length && events.length < limit; at++) {
      const event = this.#entries[at]?.event
      if (event) events.push(event)
    }
    return events
  }

  #placeAfter(seq: number): number {
    let low = 0
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#entries[middle]?.seq ?? 0) <= seq) low = middle + 1
      else high = middle
    }
    return low
  }

  #chain(roomId: string, entry: Entry): void {
    const chain = this.#rooms.get(roomId)
    if (chain) {
      chain.newest.nextOfRoom = entry
      chain.newest = entry
    } else {
      this.#rooms.set(roomId, { oldest: entry, newest: entry })
    }
  }

  /** In steps of a quarter, so that removing from the front stays cheap for each event. */
  #evict(): void {
    const target = this.#maxBytes * 0.75
    let count = 0
    while (this.#bytes > target && count < this.#entries.length) {
      const entry = this.#entries[count++]
      if (!entry) break
      this.floor = entry.seq
      if (entry.event) this.#forget(entry, entry.event)
      else this.#forgetErased(1)
    }
    this.#entries.splice(0, count)
  }

  /** The oldest of all is the oldest of its room. */
  #forget(entry: Entry, event: LogEvent): void {
    this.#bytes -= sizeOf(event)
    const chain = event.roomId ? this.#rooms.get(event.roomId) : undefined
    if (!event.roomId || chain?.oldest !== entry) return
    if (entry.nextOfRoom) chain.oldest = entry.nextOfRoom
    else this.#rooms.delete(event.roomId)
  }

  /** Of a deleted room only each LeaveRoom is left, as in the database. Costs no more than the room has events. */
  #erase(roomId: string): void {
    let entry = this.#rooms.get(roomId)?.oldest
    this.#rooms.delete(roomId)
    while (entry) {
      if (entry.event) this.#bytes += ERASED_BYTES - sizeOf(entry.event)
      entry.event = undefined
      this.#erased++
      const next: Entry | undefined = entry.nextOfRoom
      entry.nextOfRoom = undefined
      entry = next
    }
    if (this.#erased <= this.#entries.length / 2) return
    this.#entries = this.#entries.filter(({ event }) => event)
    this.#forgetErased(this.#erased)
  }

  #forgetErased(count: number): void {
    this.#erased -= count
    this.#bytes -= count * ERASED_BYTES
  }
}

function isErasable({ type }: LogEvent): boolean {
  return type !== EventType.LeaveRoom && type !== EventType.RoomDeleted
}

function sizeOf(event: LogEvent): number {
  return (
    OVERHEAD_BYTES +
    event.body.length +
    (event.preview?.length ?? 0) +
    (event.recipients?.length ?? 0) * RECIPIENT_BYTES
  )
}
