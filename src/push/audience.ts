/** Whom an event concerns, whether they are connected or not: members at its seq, or its recipients. */
import { LRUCache } from 'lru-cache'
import type { Queryable } from '../infra/postgres.ts'
import { EventType, type LogEvent } from '../log/event.ts'
import { type Interval, isWithin } from '../log/memberships.ts'
import { isForRoom, Mutes } from './mutes.ts'
import { listMemberships } from './push-repository.ts'

export type Addressed = {
  event: LogEvent
  /** The same array for events that concern the same people. */
  users: readonly string[]
  /** Who made the event, if they are among them: not for them. */
  except: string | null
}

const PUSHED: ReadonlySet<EventType> = new Set([
  EventType.ChatMessage,
  EventType.NewRoom,
  EventType.FriendRequestReceived,
  EventType.SystemMessage,
])

/** Members of rooms that are remembered, all rooms together; a room counts as at least one. */
const MAX_MEMBERS = 300_000
/** Rooms that one statement looks up. */
const ROOMS = 100

export class Audience {
  readonly #db: Queryable
  /** True at every seq from the last page's on: read once, then kept by the log itself. */
  readonly #rooms = new LRUCache<string, Members>({
    maxSize: MAX_MEMBERS,
    sizeCalculation: (members) => Math.min(MAX_MEMBERS, members.size + 1),
  })

  constructor(db: Queryable) {
    this.#db = db
  }

  /** To be called with every page of the log, in order. */
  async of(events: LogEvent[]): Promise<Addressed[]> {
    const mutes = await Mutes.of(this.#db, events)
    const addressed: Addressed[] = []
    for (const [index, event] of events.entries()) {
      this.#learn(event)
      if (!PUSHED.has(event.type)) continue
      const users = await this.#usersOf(event, events, index, mutes)
      if (users.length > 0) addressed.push({ event, users, except: event.senderId })
    }
    return addressed
  }

  /** Nothing is known any more: what comes next may be from before. */
  forget(): void {
    this.#rooms.clear()
  }

  async #usersOf(event: LogEvent, page: LogEvent[], index: number, mutes: Mutes): Promise<readonly string[]> {
    if (event.recipients) return event.recipients
    if (!event.roomId) return []
    const members = this.#rooms.get(event.roomId) ?? (await this.#load(event.roomId, page, index))
    return members.at(event.seq, mutes.whoMuted(event))
  }

  /** The room's members, and with them those of other rooms that the page will ask for. */
  async #load(roomId: string, page: LogEvent[], index: number): Promise<Members> {
    const wanted = new Set([roomId])
    for (let next = index + 1; next < page.length && wanted.size < ROOMS; next++) {
      const event = page[next]
      if (event?.roomId && isForRoom(event) && !this.#rooms.has(event.roomId)) wanted.add(event.roomId)
    }
    const rows = await listMemberships(this.#db, [...wanted], (page[index]?.seq ?? 0) - 1)
    const found = new Map([...wanted].map((id) => [id, new Members()]))
    for (const { roomId: id, userId, from, to } of rows) found.get(id)?.add(userId, { from, to: to ?? undefined })
    for (const [id, members] of found) this.#rooms.set(id, members)
    return found.get(roomId) ?? new Members()
  }

  /** What the log tells of members. Rows that were read later than this event have it already. */
  #learn(event: LogEvent): void {
    const members = event.roomId && this.#rooms.get(event.roomId)
    if (!members || !event.roomId) return
    if (event.type === EventType.RoomDeleted) this.#rooms.delete(event.roomId)
    else if (event.type === EventType.NewRoom) for (const id of event.recipients ?? []) members.joined(id, event.seq)
    else if (event.type === EventType.LeaveRoom) for (const id of event.recipients ?? []) members.left(id, event.seq)
  }
}

/** Who saw a room's events, and from which to which. */
class Members {
  readonly #intervals = new Map<string, Interval[]>()
  /** Nobody comes or goes after this seq, as far as is known. */
  #changedAt = 0
  /** The answer to the last question: one event mostly has the audience of the one before. */
  #last: { now: boolean; muted: string; users: string[] } | undefined

  get size(): number {
    return this.#intervals.size
  }

  add(userId: string, interval: Interval): void {
    const intervals = this.#intervals.get(userId)
    if (intervals) intervals.push(interval)
    else this.#intervals.set(userId, [interval])
    this.#changed(interval.to ?? interval.from)
  }

  joined(userId: string, seq: number): void {
    if (!this.#intervals.get(userId)?.some(({ from }) => from === seq)) this.add(userId, { from: seq, to: undefined })
  }

  left(userId: string, seq: number): void {
    const open = this.#intervals.get(userId)?.find((interval) => isWithin(interval, seq))
    if (!open) return
    open.to = seq
    this.#changed(seq)
  }

  at(seq: number, muted: string[]): string[] {
    const now = seq > this.#changedAt
    const key = muted.join()
    if (now && this.#last?.now && this.#last.muted === key) return this.#last.users
    const silent = new Set(muted)
    const users: string[] = []
    for (const [userId, intervals] of this.#intervals)
      if (!silent.has(userId) && intervals.some((interval) => isWithin(interval, seq))) users.push(userId)
    this.#last = { now, muted: key, users }
    return users
  }

  #changed(seq: number): void {
    this.#changedAt = Math.max(this.#changedAt, seq)
    this.#last = undefined
  }
}
