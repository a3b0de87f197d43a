/** The hub: follows the log's tail and writes each event to the streams of whoever it is for. */
import { EventType, type LogEvent } from '../log/event.ts'
import { type Memberships, type Stay, sees } from '../log/memberships.ts'
import type { Tail } from '../log/tail.ts'
import { unavailable } from '../shared/app-error.ts'
import { EventFrames, KEEP_ALIVE, retryFrame } from './event-frames.ts'
import { type Person, RoomPeople } from './room-people.ts'
import type { Stream } from './stream.ts'
import { writeQueue } from './write-queue.ts'

export type HubOptions = {
  keepAliveSeconds: number
  maxBufferedBytes: number
  maxPerUser: number
  maxPerNode: number
}

export type HubObserver = {
  streamOpened(): void
  streamClosed(): void
  streamOverflowed(userId: string): void
  framesWritten(count: number): void
  /** Events could not be handed to streams, so all of them were ended. */
  deliveryFailed(error: unknown): void
}

export type PeopleWatcher = {
  /** Somebody's first stream here was opened. */
  arrived(userId: string): void
  /** Their last one has ended. */
  left(userId: string): void
}

/** Past this many, streams that get an event at once let others go first. */
const BULK = 250
/** Deliveries that one turn of the event loop decides about. */
const TURN_DELIVERIES = 5_000
/** With so many bytes waiting for their turn on one stream, the log is read no further. */
const MAX_WAITING_BYTES = 64 * 1024
/** So often the cursor is repeated, in a keep-alive's place; where those are rarer, in each of them. */
const CURSOR_SECONDS = 60
/** For who was ended by a newer stream of the same person: one too many, all healthy, would end each other for ever. */
const DISPLACED_RETRY_MS = { from: 45_000, to: 75_000 }

export class Hub {
  readonly frames: EventFrames
  readonly #tail: Tail
  readonly #options: HubOptions
  readonly #observe: HubObserver
  readonly #people = new Map<string, Person>()
  readonly #rooms = new RoomPeople()
  /** Streams that are not live yet, by person, oldest first. */
  readonly #opening = new Map<string, Set<Stream>>()
  /** Opening or live. */
  #count = 0
  #deliveries = 0
  #isCongested = false
  readonly #keepAlivesACursor: number
  readonly #wheel: NodeJS.Timeout
  #watcher: PeopleWatcher | undefined
  #ticks = 0
  #closed = false

  constructor(tail: Tail, options: HubOptions, observe: HubObserver) {
    this.#tail = tail
    this.#options = options
    this.#observe = observe
    this.frames = new EventFrames(tail.epoch)
    tail.follow((events) => {
      try {
        return this.#follow(events)
      } catch (error) {
        this.#startOver(error)
        return undefined
      }
    })
    this.#keepAlivesACursor = Math.max(1, Math.floor(CURSOR_SECONDS / options.keepAliveSeconds))
    this.#wheel = setInterval(() => this.#tick(), options.keepAliveSeconds * 1_000)
    this.#wheel.unref()
  }

  get closed(): boolean {
    return this.#closed
  }

  watch(watcher: PeopleWatcher): void {
    this.#watcher = watcher
  }

  person(userId: string): Person | undefined {
    return this.#people.get(userId)
  }

  /** That of somebody who is here. */
  stayIn(roomId: string): Stay | undefined {
    return this.#rooms.stayIn(roomId)
  }

  /** The person's memberships, brought up to the tail's position by the caller in this same turn. */
  remember(userId: string, memberships: Memberships): Person {
    const known = this.#people.get(userId)
    if (known) this.#rooms.leaveAll(known)
    const person = known ?? { userId, memberships, streams: [], openings: 0 }
    person.memberships = memberships
    this.#people.set(userId, person)
    this.#rooms.enterAll(person)
    return person
  }

  /** @throws AppError where the node has no room for another stream, and none of the person's own makes room */
  admit(userId: string): void {
    if (this.#count < this.#options.maxPerNode || this.#streamsOf(userId).length >= this.#options.maxPerUser) return
    throw unavailable('This node holds as many streams as it may.')
  }

  /** A stream that begins to open; from now on it counts, and ends with the hub. */
  add(stream: Stream): void {
    const { userId } = stream
    this.#count++
    this.#observe.streamOpened()
    const opening = this.#opening.get(userId)
    if (opening) opening.add(stream)
    else this.#opening.set(userId, new Set([stream]))
    stream.onClose(this.#remove)
    const [oldest, ...others] = this.#streamsOf(userId)
    if (!oldest || others.length < this.#options.maxPerUser) return
    oldest.write(retryFrame(DISPLACED_RETRY_MS))
    this.#end(oldest)
  }

  /** From now on the stream gets what is for its person; it has had everything up to the tail's position. */
  attach(person: Person, stream: Stream): void {
    if (!this.#forgetOpening(stream)) return
    person.streams = person.streams.concat(stream)
    if (person.streams.length === 1) this.#watcher?.arrived(person.userId)
  }

  /** Ends every stream, so that clients resume on another node; resolves when their connections are closed. */
  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#wheel)
    await Promise.all(
      this.#streams().map((stream) => {
        this.#end(stream)
        return new Promise<void>((resolve) => stream.onClose(() => resolve()))
      }),
    )
  }

  /** Forgets a person whose last stream is gone or never came to be attached. */
  release(person: Person): void {
    if (person.streams.length > 0 || person.openings > 0 || this.#people.get(person.userId) !== person) return
    this.#people.delete(person.userId)
    this.#rooms.leaveAll(person)
  }

  /** @returns what the tail has to wait for before the next event, so that it is followed in bounded time and memory */
  #follow(events: [LogEvent, ...LogEvent[]]): Promise<void> | undefined {
    const before = this.#deliveries
    const [first] = events
    if (first.recipients || first.type === EventType.RoomDeleted) this.#deliver(first)
    else this.#deliverToRoom(events)
    this.#observe.framesWritten(this.#deliveries - before)
    if (this.#deliveries < TURN_DELIVERIES && !this.#isCongested) return undefined
    const wait = this.#isCongested ? writeQueue.served() : new Promise<void>((resolve) => setImmediate(resolve))
    this.#deliveries = 0
    this.#isCongested = false
    return wait
  }

  /** Who had what of an event is not known any more, nor who is in which room: clients resume from the log. */
  #startOver(error: unknown): void {
    this.#observe.deliveryFailed(error)
    for (const stream of this.#streams()) this.#end(stream)
    // Those that are held by streams that were opening.
    this.#people.clear()
    this.#rooms.clear()
  }

  #deliver(event: LogEvent): void {
    if (event.type === EventType.RoomDeleted) {
      // Whoever has left it keeps an interval in which there is nothing to see any more.
      const people = this.#rooms.of(event.roomId ?? '')
      for (const person of people?.keys() ?? []) person.memberships.apply(event)
      if (event.roomId) this.#rooms.forget(event.roomId)
      return
    }
    const recipients = event.recipients ?? []
    const isBulk = recipients.length > BULK
    for (const userId of recipients) {
      const person = this.#people.get(userId)
      if (!person) continue
      this.#applyMembership(person, event)
      this.#write(person, this.frames.of(event, userId), isBulk)
    }
  }

  /**
   * Whose the events are, is decided for all in this turn, by the memberships at each one's seq; the bytes leave
   * later, in order.
   */
  #deliverToRoom(events: [LogEvent, ...LogEvent[]]): void {
    const people = this.#rooms.of(events[0].roomId ?? '')
    if (!people) return
    const isBulk = people.size > BULK
    const [first, last] = [events[0].seq, events.at(-1)?.seq ?? events[0].seq]
    const frame = this.frames.ofAll(events)
    const senders = new Set(events.map(({ senderId }) => this.#people.get(senderId ?? '')))
    for (const [person, stay] of people) {
      // Rows read from the database may be ahead of the tail: whoever has left there may still be in at this seq.
      const seesAll = sees(stay, first) && (first === last || events.every(({ seq }) => sees(stay, seq)))
      if (seesAll && !senders.has(person)) this.#write(person, frame, isBulk, events.length)
      else
        for (const event of events)
          if (sees(stay, event.seq)) this.#write(person, this.frames.of(event, person.userId), isBulk)
    }
  }

  #applyMembership(person: Person, event: LogEvent): void {
    if (!event.roomId) return
    person.memberships.apply(event)
    if (event.type === EventType.NewRoom) this.#rooms.enter(event.roomId, person)
    else if (event.type === EventType.LeaveRoom) this.#rooms.leave(event.roomId, person)
  }

  #write(person: Person, frame: Buffer, isBulk: boolean, events = 1): void {
    for (const stream of person.streams) {
      if (stream.unread > this.#options.maxBufferedBytes) {
        this.#observe.streamOverflowed(person.userId)
        this.#remove(stream)
        stream.destroy()
        continue
      }
      stream.write(frame, isBulk)
      this.#deliveries += events
      if (stream.waiting > MAX_WAITING_BYTES) this.#isCongested = true
    }
  }

  #tick(): void {
    this.#ticks++
    const frame = this.#ticks % this.#keepAlivesACursor === 0 ? this.frames.cursor(this.#tail.position) : KEEP_ALIVE
    for (const person of this.#people.values()) this.#write(person, frame, true)
  }

  #streams(): Stream[] {
    const live = [...this.#people.values()].flatMap(({ streams }) => streams)
    return live.concat([...this.#opening.values()].flatMap((streams) => [...streams]))
  }

  /** The person's streams, oldest first: one that still opens is younger than the live ones, or held up. */
  #streamsOf(userId: string): Stream[] {
    return [...(this.#people.get(userId)?.streams ?? []), ...(this.#opening.get(userId) ?? [])]
  }

  #end(stream: Stream): void {
    this.#remove(stream)
    stream.end()
  }

  readonly #remove = (stream: Stream): void => {
    const person = this.#people.get(stream.userId)
    const wasLive = person?.streams.includes(stream) ?? false
    if (person && wasLive) person.streams = person.streams.filter((other) => other !== stream)
    if (!wasLive && !this.#forgetOpening(stream)) return
    this.#count--
    this.#observe.streamClosed()
    if (wasLive && person?.streams.length === 0) this.#watcher?.left(person.userId)
    if (person) this.release(person)
  }

  /** @returns whether it was opening */
  #forgetOpening(stream: Stream): boolean {
    const opening = this.#opening.get(stream.userId)
    if (!opening?.delete(stream)) return false
    if (opening.size === 0) this.#opening.delete(stream.userId)
    return true
  }
}
