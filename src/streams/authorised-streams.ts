/** Every open stream of this node with what it was authorised by; a stream ends when that does. */
import { LRUCache } from 'lru-cache'
import type { Queryable } from '../infra/postgres.ts'
import { authExpiringFrame } from './event-frames.ts'
import type { Stream } from './stream.ts'
import { findRevoked, OPEN_SECONDS, type TicketUse } from './ticket-repository.ts'

export type Grant = {
  /** `exp` of the token, in milliseconds since the epoch. */
  expiresAt: number
  /** What opened the stream in the token's place. */
  ticket: TicketUse | undefined
  /** `changes` from before token or ticket were judged. */
  asOf: number
}

type Authorised = Grant & { stream: Stream; openedAt: number; due: number }

const WARN_MS = 60_000
/** How late the end of a token may be noticed. */
const EXPIRY_TICK_MS = 250
/** How often people are looked up while changes are not notified, or after a look-up that failed. */
const POLL_MS = 500
/** Entries that one statement looks up. */
const SLICE = 1_000

export type AuthorisedStreamsOptions = {
  leewaySeconds: number
  /** Whether changes of people and uses of tickets are heard of at present. */
  isNotified: () => boolean
  /** Called where a ticket's stream is over and the ticket may open another. */
  giveBack: (ticket: TicketUse) => Promise<void>
}

export class AuthorisedStreams {
  readonly #db: Queryable
  readonly #leewayMs: number
  readonly #isNotified: () => boolean
  readonly #giveBack: (ticket: TicketUse) => Promise<void>
  readonly #people = new Map<string, readonly Authorised[]>()
  /** By hash, the newest stream here of each ticket. */
  readonly #tickets = new Map<string, Authorised>()
  /** By hash, the newest stream of tickets on any node; it may be heard of before the older one is admitted here. */
  readonly #used = new LRUCache<string, number>({ max: 10_000 })
  /** By the second in which something is due. */
  readonly #wheel = new Map<number, Set<Authorised>>()
  /** To be looked up: something about them may have changed. */
  readonly #suspects = new Set<Authorised>()
  readonly #timers: NodeJS.Timeout[]
  #changes = 0
  #looking: Promise<void> | undefined

  constructor(db: Queryable, options: AuthorisedStreamsOptions) {
    this.#db = db
    this.#leewayMs = options.leewaySeconds * 1_000
    this.#isNotified = options.isNotified
    this.#giveBack = options.giveBack
    this.#timers = [setInterval(() => this.#expire(), EXPIRY_TICK_MS), setInterval(() => this.#poll(), POLL_MS)]
    for (const timer of this.#timers) timer.unref()
  }

  /** Counts what was heard of: what was read before a change may be from before it, though it arrives later. */
  get changes(): number {
    return this.#changes
  }

  /** From here until it is closed. */
  admit(stream: Stream, grant: Grant): void {
    // Field by field: a copy of another object has a hidden class of its own, which is larger than this is.
    const { expiresAt, ticket, asOf } = grant
    const each = { expiresAt, ticket, asOf, stream, openedAt: performance.now(), due: 0 }
    this.#people.set(stream.userId, (this.#people.get(stream.userId) ?? []).concat(each))
    this.#schedule(each, grant.expiresAt - WARN_MS)
    stream.onClose(this.#forget)
    if (grant.ticket) this.#supersede(each, grant.ticket)
    if (grant.asOf !== this.#changes) this.#suspect([each])
  }

  /** Somebody changed this person's row. */
  personChanged(userId: string): void {
    this.#changes++
    this.#suspect(this.#people.get(userId) ?? [])
  }

  /** Some node notified that a ticket has a newer stream: `HASH OPENING`. */
  ticketUsed(notification: string): void {
    const [hash = '', opening] = notification.split(' ')
    this.#used.set(hash, Math.max(Number(opening), this.#used.get(hash) ?? 0))
    const open = this.#tickets.get(hash)
    if (open?.ticket) this.#endSuperseded(open, open.ticket)
  }

  /** What was notified for a while was not heard. */
  anythingChanged(): void {
    this.#changes++
    this.#suspect(this.#all())
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    this.#suspects.clear()
    await this.#looking
  }

  /** Two reconnects may come here in another order than they had in the database. */
  #supersede(each: Authorised, ticket: TicketUse): void {
    const { hash, opening } = ticket
    this.#used.set(hash, Math.max(opening, this.#used.get(hash) ?? 0))
    const other = this.#tickets.get(hash)
    if (!other?.ticket || other.ticket.opening < opening) this.#tickets.set(hash, each)
    if (other?.ticket) this.#endSuperseded(other, other.ticket)
    this.#endSuperseded(each, ticket)
  }

  #endSuperseded({ stream }: Authorised, { hash, opening }: TicketUse): void {
    if (opening < (this.#used.get(hash) ?? 0)) stream.destroy()
  }

  readonly #forget = (stream: Stream): void => {
    const { userId } = stream
    const streams = this.#people.get(userId)
    const each = streams?.find((other) => other.stream === stream)
    if (!streams || !each) return
    if (streams.length === 1) this.#people.delete(userId)
    else
      this.#people.set(
        userId,
        streams.filter((other) => other !== each),
      )
    this.#unschedule(each)
    this.#suspects.delete(each)
    if (each.ticket && this.#tickets.get(each.ticket.hash) === each) this.#release(each, each.ticket)
  }

  /** In time for a client that has had nothing yet and tries again. */
  #release({ openedAt }: Authorised, ticket: TicketUse): void {
    this.#tickets.delete(ticket.hash)
    if (ticket.opening < (this.#used.get(ticket.hash) ?? 0)) return
    if (performance.now() - openedAt < OPEN_SECONDS * 1_000) void this.#giveBack(ticket)
  }

  #schedule(each: Authorised, time: number): void {
    each.due = Math.ceil(time / 1_000)
    const streams = this.#wheel.get(each.due)
    if (streams) streams.add(each)
    else this.#wheel.set(each.due, new Set([each]))
  }

  #unschedule(each: Authorised): void {
    const streams = this.#wheel.get(each.due)
    streams?.delete(each)
    if (streams?.size === 0) this.#wheel.delete(each.due)
  }

  #expire(): void {
    const now = Date.now()
    for (const [second, streams] of this.#wheel) {
      if (second * 1_000 > now) continue
      this.#wheel.delete(second)
      for (const each of streams) this.#warnOrEnd(each, now)
    }
  }

  /** The warning carries no id: how far this stream is, only the hub knows. */
  #warnOrEnd(each: Authorised, now: number): void {
    const end = each.expiresAt + this.#leewayMs
    if (end <= now) {
      each.stream.end()
    } else {
      each.stream.write(authExpiringFrame(each.expiresAt))
      this.#schedule(each, end)
    }
  }

  #poll(): void {
    this.#suspect(this.#isNotified() ? [] : this.#all())
  }

  #all(): Authorised[] {
    return [...this.#people.values()].flat()
  }

  #suspect(streams: Iterable<Authorised>): void {
    for (const each of streams) this.#suspects.add(each)
    if (this.#suspects.size === 0) return
    this.#looking ??= this.#lookUp().finally(() => {
      this.#looking = undefined
    })
  }

  /** What does not answer is asked again by the next poll; whoever reports that it is down is the tail. */
  async #lookUp(): Promise<void> {
    while (this.#suspects.size > 0) {
      const slice = this.#takeSlice()
      try {
        const authorisations = slice.map(([{ stream, ticket }]) => ({ userId: stream.userId, ticket }))
        for (const place of await findRevoked(this.#db, authorisations))
          for (const { stream } of slice[place] ?? []) stream.destroy()
      } catch {
        for (const each of slice.flat())
          if (this.#people.get(each.stream.userId)?.includes(each)) this.#suspects.add(each)
        return
      }
      // A node's streams are many slices: others come in between.
      if (this.#suspects.size > 0) await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /** Some of the suspects, who are no suspects then; those that stand and fall together are one entry. */
  #takeSlice(): [Authorised, ...Authorised[]][] {
    const people = new Map<string, [Authorised, ...Authorised[]]>()
    const slice: [Authorised, ...Authorised[]][] = []
    for (const each of this.#suspects) {
      const same = each.ticket ? undefined : people.get(each.stream.userId)
      if (!same && slice.length === SLICE) break
      this.#suspects.delete(each)
      if (same) {
        same.push(each)
        continue
      }
      const entry: [Authorised] = [each]
      slice.push(entry)
      if (!each.ticket) people.set(each.stream.userId, entry)
    }
    return slice
  }
}
