/** The newest part of the log in memory, so that most resumes read no event from the database. */
import { EventType, type LogEvent } from './event.ts'

/** What an event and its frame cost beside its texts: the objects, ids and dates, and their places. */
const OVERHEAD_BYTES = 1_250
/** Each text is in the event, and in the frame that lives as long as it does (src/streams/event-frames.ts). */
const TEXT_COPIES = 2
/** The place of one that was erased, until there are too many. */
const ERASED_BYTES = 64
/** A recipient's id: 36 characters, their header, and the place in the array. */
const RECIPIENT_BYTES = 64

/** An event in its place; without it, where it was erased. */
type Entry = { seq: number; event: LogEvent | undefined }

export class RecentLog {
  /** Every event after `floor`, up to the newest read, is here. */
  floor: number
  #entries: Entry[] = []
  /** Those of a room that are erased with it, in order. */
  readonly #rooms = new Map<string, Entry[]>()
  /** Those that name their recipients, in order; what outlives its room does. */
  #addressed: Entry[] = []
  #erased = 0
  #bytes = 0
  readonly #maxBytes: number

  constructor(floor: number, maxBytes: number) {
    this.floor = floor
    this.#maxBytes = maxBytes
  }

  push(event: LogEvent): void {
    if (event.type === EventType.RoomDeleted && event.roomId) this.#erase(event.roomId)
    const entry: Entry = { seq: event.seq, event }
    this.#entries.push(entry)
    if (event.recipients) this.#addressed.push(entry)
    if (event.roomId && isErasable(event)) this.#addToRoom(event.roomId, entry)
    this.#bytes += sizeOf(event)
    if (this.#bytes > this.#maxBytes) this.#evict()
  }

  /** The events after `seq`, at most `limit`; `seq` must not be below `floor`. */
  after(seq: number, limit: number): LogEvent[] {
    return eventsOf(this.#entries, seq, Number.POSITIVE_INFINITY, limit)
  }

  /** Where `count` places after `seq` end; without so many there is no end. */
  endOf(count: number, seq: number): number {
    return this.#entries[placeAfter(this.#entries, seq) + count - 1]?.seq ?? Number.POSITIVE_INFINITY
  }

  /**
   * The events after `after`, up to `upTo`, that may be for somebody in `rooms`: all of these rooms, and of others at
   * least those that name their recipients. Costs what these are, not what the log has.
   */
  among(rooms: { size: number; keys(): Iterable<string> }, after: number, upTo: number): LogEvent[] {
    const places = placeAfter(this.#entries, upTo) - placeAfter(this.#entries, after)
    if (places <= rooms.size) return eventsOf(this.#entries, after, upTo)
    const events = eventsOf(this.#addressed, after, upTo)
    for (const roomId of rooms.keys())
      for (const event of eventsOf(this.#rooms.get(roomId) ?? [], after, upTo))
        if (event.recipients === null) events.push(event)
    return events.sort((a, b) => a.seq - b.seq)
  }

  #addToRoom(roomId: string, entry: Entry): void {
    const entries = this.#rooms.get(roomId)
    if (entries) entries.push(entry)
    else this.#rooms.set(roomId, [entry])
  }

  /** In steps of a quarter, so that removing from the front stays cheap for each event. */
  #evict(): void {
    const target = this.#maxBytes * 0.75
    const rooms = new Set<string>()
    let count = 0
    while (this.#bytes > target && count < this.#entries.length) {
      const entry = this.#entries[count++]
      if (!entry) break
      this.floor = entry.seq
      if (entry.event) this.#bytes -= sizeOf(entry.event)
      else this.#forgetErased(1)
      if (entry.event?.roomId) rooms.add(entry.event.roomId)
    }
    this.#entries.splice(0, count)
    this.#addressed.splice(0, placeAfter(this.#addressed, this.floor))
    for (const roomId of rooms) this.#forgetOldest(roomId)
  }

  #forgetOldest(roomId: string): void {
    const entries = this.#rooms.get(roomId)
    entries?.splice(0, placeAfter(entries, this.floor))
    if (entries?.length === 0) this.#rooms.delete(roomId)
  }

  /** Of a deleted room only each LeaveRoom is left, as in the database. Costs no more than the room has events. */
  #erase(roomId: string): void {
    for (const entry of this.#rooms.get(roomId) ?? []) {
      if (entry.event) this.#bytes += ERASED_BYTES - sizeOf(entry.event)
      entry.event = undefined
      this.#erased++
    }
    this.#rooms.delete(roomId)
    if (this.#erased <= this.#entries.length / 2) return
    this.#entries = this.#entries.filter(({ event }) => event)
    this.#addressed = this.#addressed.filter(({ event }) => event)
    this.#forgetErased(this.#erased)
  }

  #forgetErased(count: number): void {
    this.#erased -= count
    this.#bytes -= count * ERASED_BYTES
  }
}

function placeAfter(entries: readonly Entry[], seq: number): number {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((entries[middle]?.seq ?? 0) <= seq) low = middle + 1
    else high = middle
  }
  return low
}

/** Those after `after`, up to `upTo`, that were not erased. */
function eventsOf(
  entries: readonly Entry[],
  after: number,
  upTo: number,
  limit = Number.POSITIVE_INFINITY,
): LogEvent[] {
  const events: LogEvent[] = []
  for (let at = placeAfter(entries, after); at < entries.length && events.length < limit; at++) {
    const { seq, event } = entries[at] as Entry
    if (seq > upTo) break
    if (event) events.push(event)
  }
  return events
}

function isErasable({ type }: LogEvent): boolean {
  return type !== EventType.LeaveRoom && type !== EventType.RoomDeleted
}

function sizeOf(event: LogEvent): number {
  return (
    OVERHEAD_BYTES +
    TEXT_COPIES * (Buffer.byteLength(event.body) + Buffer.byteLength(event.preview ?? '')) +
    (event.recipients?.length ?? 0) * RECIPIENT_BYTES
  )
}
