/** The hub: follows the log's tail and writes each event to the streams of whoever it is for. */
import { EventType, type LogEvent } from '../log/event.ts'
import type { Memberships } from '../log/memberships.ts'
import type { Tail } from '../log/tail.ts'
import { EventFrames, KEEP_ALIVE } from './event-frames.ts'
import type { Stream } from './stream.ts'

/** Somebody with a stream on this node. */
export type Person = {
  readonly userId: string
  /** True at every event up to the tail's position. */
  memberships: Memberships
  readonly streams: Set<Stream>
  /** Streams that are being opened and hold on to this person. */
  openings: number
}

export type HubOptions = {
  keepAliveSeconds: number
  maxBufferedBytes: number
  maxPerUser: number
}

export type HubObserver = {
  streamOpened(): void
  streamClosed(): void
  streamOverflowed(userId: string): void
  framesWritten(count: number): void
}

export type PeopleWatcher = {
  /** Somebody's first stream here was opened. */
  arrived(userId: string): void
  /** Their last one has ended. */
  left(userId: string): void
}

/** Every this many keep-alives the cursor is repeated: once a minute at five seconds. */
const KEEP_ALIVES_A_CURSOR = 12

export class Hub {
  readonly frames: EventFrames
  readonly #tail: Tail
  readonly #options: HubOptions
  readonly #observe: HubObserver
  readonly #people = new Map<string, Person>()
  /** The people here who may be in a room; their memberships say at which seq they are. */
  readonly #rooms = new Map<string, Set<Person>>()
  readonly #wheel: NodeJS.Timeout
  #watcher: PeopleWatcher | undefined
  #ticks = 0
  #closed = false

  constructor(tail: Tail, options: HubOptions, observe: HubObserver) {
    this.#tail = tail
    this.#options = options
    this.#observe = observe
    this.frames = new EventFrames(tail.epoch)
    tail.follow((event) => this.#deliver(event))
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

  /** The person's memberships, brought up to the tail's position by the caller in this same turn. */
  remember(userId: string, memberships: Memberships): Person {
    const known = this.#people.get(userId)
    if (known) this.#forgetRooms(known)
    const person = known ?? { userId, memberships, streams: new Set<Stream>(), openings: 0 }
    person.memberships = memberships
    this.#people.set(userId, person)
    for (const roomId of memberships.rooms()) this.#enter(roomId, person)
    return person
  }

  /** From now on the stream gets what is for its person; it has had everything up to the tail's position. */
  attach(person: Person, stream: Stream): void {
    person.streams.add(stream)
    if (person.streams.size === 1) this.#watcher?.arrived(person.userId)
    this.#observe.streamOpened()
    stream.onClose(() => this.#detach(person, stream))
    if (person.streams.size > this.#options.maxPerUser) {
      const [oldest] = person.streams
      if (oldest) this.#drop(person, oldest)
    }
  }

  /** Ends every stream, so that clients resume on another node. */
  close(): void {
    this.#closed = true
    clearInterval(this.#wheel)
    for (const person of [...this.#people.values()])
      for (const stream of [...person.streams]) this.#drop(person, stream)
  }

  /** Forgets a person whose last stream is gone or never came to be attached. */
  release(person: Person): void {
    if (person.streams.size > 0 || person.openings > 0) return
    this.#people.delete(person.userId)
    this.#forgetRooms(person)
  }

  #deliver(event: LogEvent): void {
    if (event.type === EventType.RoomDeleted) {
      for (const person of this.#people.values()) person.memberships.apply(event)
      if (event.roomId) this.#rooms.delete(event.roomId)
    } else if (event.recipients) {
      for (const userId of event.recipients) {
        const person = this.#people.get(userId)
        if (!person) continue
        this.#applyMembership(person, event)
        this.#write(person, event)
      }
    } else if (event.roomId) {
      // Rows read from the database may be ahead of the tail: whoever has left there may still be in at this seq.
      for (const person of this.#rooms.get(event.roomId) ?? [])
        if (person.memberships.sees(event.roomId, event.seq)) this.#write(person, event)
    }
  }

  #applyMembership(person: Person, event: LogEvent): void {
    if (!event.roomId) return
    person.memberships.apply(event)
    if (event.type === EventType.NewRoom) this.#enter(event.roomId, person)
    else if (event.type === EventType.LeaveRoom) this.#leave(event.roomId, person)
  }

  #write(person: Person, event: LogEvent): void {
    if (person.streams.size === 0) return
    const frame = this.frames.of(event, person.userId)
    this.#observe.framesWritten(person.streams.size)
    for (const stream of person.streams) this.#writeTo(person, stream, frame)
  }

  #writeTo(person: Person, stream: Stream, frame: Buffer): void {
    if (stream.buffered + frame.length <= this.#options.maxBufferedBytes) {
      stream.write(frame)
    } else {
      this.#observe.streamOverflowed(person.userId)
      stream.destroy()
      this.#detach(person, stream)
    }
  }

  #tick(): void {
    this.#ticks++
    const frame = this.#ticks % KEEP_ALIVES_A_CURSOR === 0 ? this.frames.cursor(this.#tail.position) : KEEP_ALIVE
    for (const person of this.#people.values())
      for (const stream of person.streams) this.#writeTo(person, stream, frame)
  }

  #drop(person: Person, stream: Stream): void {
    this.#detach(person, stream)
    stream.end()
  }

  #detach(person: Person, stream: Stream): void {
    if (!person.streams.delete(stream)) return
    this.#observe.streamClosed()
    if (person.streams.size === 0) this.#watcher?.left(person.userId)
    this.release(person)
  }

  #enter(roomId: string, person: Person): void {
    const people = this.#rooms.get(roomId)
    if (people) people.add(person)
    else this.#rooms.set(roomId, new Set([person]))
  }

  #leave(roomId: string, person: Person): void {
    const people = this.#rooms.get(roomId)
    people?.delete(person)
    if (people?.size === 0) this.#rooms.delete(roomId)
  }

  #forgetRooms(person: Person): void {
    for (const roomId of person.memberships.rooms()) this.#leave(roomId, person)
  }
}
