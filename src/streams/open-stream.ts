/** How a stream begins: replay from the database, cut-over through memory, then live; each event once, in order. */
import type { Queryable } from '../infra/postgres.ts'
import { EventType, type LogEvent } from '../log/event.ts'
import { readEventsOf } from '../log/log-repository.ts'
import type { Memberships } from '../log/memberships.ts'
import { resume } from '../log/resume.ts'
import type { Tail } from '../log/tail.ts'
import { retryFrame } from './event-frames.ts'
import type { Hub } from './hub.ts'
import type { Person } from './room-people.ts'
import { createSharedReads } from './shared-reads.ts'
import type { Stream } from './stream.ts'

/** Small, for a page is read and written in one turn of the event loop; it ends early once it has so many bytes. */
const PAGE = 250
const PAGE_BYTES = 128 * 1024
/** Replay waits for its reader at this many unsent bytes. */
const REPLAY_BUFFER_BYTES = 64 * 1024
/** Events of the log, not only the person's, among which one turn of the cut-over looks. */
const CUT_OVER_SLICE = 5_000

export type StreamOpener = {
  /** To be called before the stream is made. @throws AppError where the node holds as many as it may */
  admit(userId: string): void
  /**
   * Resolves when the stream is live or closed.
   * @param lastEventId the client's cursor; without one the stream begins now
   */
  open(stream: Stream, lastEventId: string | undefined): Promise<void>
}

/** @param db for reading what was missed: not so many statements at once that requests would have to wait */
export function createStreamOpener(db: Queryable, tail: Tail, hub: Hub): StreamOpener {
  const reads = createSharedReads(db, tail, (roomId) => hub.stayIn(roomId))
  return {
    admit: (userId) => hub.admit(userId),
    async open(stream, lastEventId) {
      hub.add(stream)
      let person: Person | undefined
      try {
        const { after, frame } = await begin(lastEventId)
        stream.write(retryFrame())
        stream.write(frame)
        const replayed = await replay(stream, after)
        person = await holdPerson(stream.userId, replayed)
        await cutOver(stream, person, replayed)
      } finally {
        if (person) {
          person.openings--
          hub.release(person)
        }
      }
    },
  }

  /** Where the stream starts, with the frame that tells the client its cursor, or to reload. */
  async function begin(lastEventId: string | undefined): Promise<{ after: number; frame: Buffer }> {
    if (lastEventId === undefined) return beginAt(tail.position)
    const from = resume(lastEventId, { ...(await reads.logState()), epoch: tail.epoch })
    if ('resync' in from) return { after: tail.position, frame: hub.frames.resync(from.resync, tail.position) }
    // Another node's tail may be ahead of this one's.
    await tail.reached(from.after)
    return beginAt(from.after)
  }

  function beginAt(after: number): { after: number; frame: Buffer } {
    return { after, frame: hub.frames.cursor(after) }
  }

  /** Phase 1: what memory no longer holds, page by page. @returns the seq up to which the stream has everything */
  async function replay(stream: Stream, from: number): Promise<number> {
    let after = from
    while (after < tail.recent.floor && !stream.closed) {
      const upTo = tail.position
      const page = { after, upTo, limit: PAGE, bytes: PAGE_BYTES }
      const { events, more } = await readEventsOf(db, stream.userId, page)
      const { trimmedSeq, headSeq } = await reads.logState()
      if (trimmedSeq > after) {
        // Trimmed while the page was read: it may lack events.
        stream.write(hub.frames.resync('TOO_OLD', upTo))
        return upTo
      }
      for (const event of events) stream.write(hub.frames.of(event, stream.userId))
      after = more ? (events.at(-1)?.seq ?? upTo) : upTo
      if (held(stream) > REPLAY_BUFFER_BYTES) await stream.drained()
      // What was erased with its room before this was read must not come out of memory in part.
      if (!more) await tail.reached(headSeq)
    }
    return after
  }

  /** Phase 2: the rest from memory, up to a turn in which nothing is left; in that turn the stream goes live. */
  async function cutOver(stream: Stream, person: Person, from: number): Promise<void> {
    let after = from
    for (;;) {
      if (stream.closed) return
      if (hub.closed) return stream.end()
      while (after < tail.recent.floor && !stream.closed) after = await replay(stream, after)
      after = writeSlice(stream, person, after)
      if (after === tail.position) break
      if (held(stream) > REPLAY_BUFFER_BYTES) await stream.drained()
      await new Promise((resolve) => setImmediate(resolve))
    }
    hub.attach(person, stream)
  }

  /** @returns the seq up to which the stream has everything: the tail's position, or where the slice or buffer ended */
  function writeSlice(stream: Stream, person: Person, from: number): number {
    const upTo = Math.min(tail.recent.endOf(CUT_OVER_SLICE, from), tail.position)
    for (const event of tail.recent.among(person.memberships.rooms, from, upTo)) {
      if (!isFor(person, event)) continue
      stream.write(hub.frames.of(event, person.userId))
      if (held(stream) > REPLAY_BUFFER_BYTES) return event.seq
    }
    return upTo
  }

  /** The person, held, with memberships that reach back to `since` and forward to the tail's position. */
  async function holdPerson(userId: string, since: number): Promise<Person> {
    for (;;) {
      const known = hub.person(userId)
      if (known && known.memberships.since <= since) return hold(known)
      const from = Math.min(since, known?.memberships.since ?? since)
      const { memberships, position } = await reads.memberships(userId, from)
      // The log outran memory meanwhile, or another stream of theirs was quicker: look again.
      if (tail.recent.floor > position || hub.person(userId) !== known) continue
      catchUp(memberships, userId, position)
      return hold(hub.remember(userId, memberships))
    }
  }

  /** In the same turn: the end of another stream of theirs must not make the hub forget them in between. */
  function hold(person: Person): Person {
    person.openings++
    return person
  }

  function catchUp(memberships: Memberships, userId: string, position: number): void {
    for (const event of tail.recent.after(position, Number.POSITIVE_INFINITY))
      if (event.type === EventType.RoomDeleted || event.recipients?.includes(userId)) memberships.apply(event)
  }
}

function isFor(person: Person, event: LogEvent): boolean {
  if (event.recipients) return event.recipients.includes(person.userId)
  return event.roomId !== null && person.memberships.sees(event.roomId, event.seq)
}

/** Bytes that keep memory until the reader reads. */
function held(stream: Stream): number {
  return stream.waiting + stream.unread
}
