/** The newest part of the log in memory, so that most resumes read no event from the database. */
import { EventType, type LogEvent } from './event.ts'

/** What an event costs beside its texts: the object, its ids and dates. */
const OVERHEAD_BYTES = 600
/** A recipient's id: 36 characters, their header, and the place in the array. */
const RECIPIENT_BYTES = 64

export class RecentLog {
  /** Every event after `floor`, up to the newest read, is here. */
  floor: number
  #events: LogEvent[] = []
  #bytes = 0
  readonly #maxBytes: number

  constructor(floor: number, maxBytes: number) {
    this.floor = floor
    this.#maxBytes = maxBytes
  }

  push(event: LogEvent): void {
    if (event.type === EventType.RoomDeleted) this.#erase(event.roomId)
    this.#events.push(event)
    this.#bytes += sizeOf(event)
    if (this.#bytes > this.#maxBytes) this.#evict()
  }

  /** The events after `seq`, at most `limit`; `seq` must not be below `floor`. */
  after(seq: number, limit: number): LogEvent[] {
    let low = 0
    let high = this.#events.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#events[middle]?.seq ?? 0) <= seq) low = middle + 1
      else high = middle
    }
    return this.#events.slice(low, low + limit)
  }

  /** In steps of a quarter, so that removing from the front stays cheap for each event. */
  #evict(): void {
    const target = this.#maxBytes * 0.75
    let count = 0
    while (this.#bytes > target && count < this.#events.length) {
      const event = this.#events[count++]
      if (!event) break
      this.#bytes -= sizeOf(event)
      this.floor = event.seq
    }
    this.#events.splice(0, count)
  }

  /** Of a deleted room only each LeaveRoom is left, as in the database. */
  #erase(roomId: string | null): void {
    this.#events = this.#events.filter((event) => event.roomId !== roomId || event.type === EventType.LeaveRoom)
    this.#bytes = this.#events.reduce((sum, event) => sum + sizeOf(event), 0)
  }
}

function sizeOf(event: LogEvent): number {
  return (
    OVERHEAD_BYTES +
    event.body.length +
    (event.preview?.length ?? 0) +
    (event.recipients?.length ?? 0) * RECIPIENT_BYTES
  )
}
