/** Who had a stream: whoever had none gets the push at once, whoever is covered by a lease is looked at when it ended. */
import type { Queryable } from '../infra/postgres.ts'
import type { LogEvent } from '../log/event.ts'
import type { Addressed } from './audience.ts'
import { Mutes } from './mutes.ts'
import { findLeases, readEventsAt } from './push-repository.ts'

/** An event and who gets it, each list the same array for the same people. */
export type Decided = { event: LogEvent; users: readonly string[] }

export type CoverageObserver = { coverageFailed(error: unknown): void }

/** The bodies of events stay in the log meanwhile: that somebody covered needs one after all is rare. */
type WaitingEvent = { seq: number; users: readonly string[]; except: string | null }

type WaitingPage = {
  events: WaitingEvent[]
  people: Set<string>
  /** The last lease that covers one of them, by PostgreSQL's clock. */
  until: number
  /** The same by this process's monotonic clock; a timer that comes too early is set again. */
  dueAt: number
}

const MAX_EVENTS = 200_000
/** Ids of people in the lists of waiting events. */
const MAX_IDS = 2_000_000
const EVENTS_AT_ONCE = 250
/** Whom one statement looks up, in about a second: more than ten of them, and PostgreSQL gives it up, each time anew. */
const PEOPLE_AT_ONCE = 100_000
const RETRY_MS = 1_000
/** A PostgreSQL that crashed has forgotten who is connected where; the nodes tell it anew within some three seconds. */
const RECOVERY_MS = 5_000

export class Coverage {
  readonly #db: Queryable
  readonly #holder: string
  readonly #decide: (decided: Decided[]) => void
  readonly #observe: CoverageObserver
  /** In the log's order: a later page is never decided before an earlier one. */
  #waiting: WaitingPage[] = []
  /** In how many of the waiting pages somebody is: what comes for them waits behind. */
  readonly #waitedFor = new Map<string, number>()
  #events = 0
  #ids = 0
  #timer: NodeJS.Timeout | undefined
  #deciding: Promise<void> | undefined
  /** Counts how often all was forgotten: what was asked before that is of no use after it. */
  #round = 0
  #isStopped = false
  #nodeId: string | undefined
  /** Before this, by PostgreSQL's clock, it may not know everybody who is connected. */
  #trustedFrom = 0
  /** PostgreSQL's clock, less this process's monotonic one. */
  #clock = Date.now() - performance.now()

  /**
   * @param holder what this node is called
   * @param decide gets, in each person's order, what they get; sooner or later everything that was asked
   */
  constructor(db: Queryable, holder: string, decide: (decided: Decided[]) => void, observe: CoverageObserver) {
    this.#db = db
    this.#holder = holder
    this.#decide = decide
    this.#observe = observe
  }

  /** In milliseconds since 1970 by PostgreSQL's clock. */
  now(): number {
    return this.#clock + performance.now()
  }

  get isFull(): boolean {
    return this.#events >= MAX_EVENTS || this.#ids >= MAX_IDS
  }

  /** The oldest event that is waited with; Infinity where there is none. */
  get oldestSeq(): number {
    return this.#waiting[0]?.events[0]?.seq ?? Number.POSITIVE_INFINITY
  }

  /**
   * One page at a time, in the log's order, and nothing is forgotten meanwhile. Whoever stops in the middle of it still
   * has the page under way: it would be done with otherwise, and decided by nobody.
   */
  async ask(addressed: Addressed[]): Promise<void> {
    const people = new Set<string>()
    for (const users of new Set(addressed.map((each) => each.users))) for (const user of users) people.add(user)
    if (people.size === 0) return
    const leases = await this.#leases(people)
    const covered = leases.isTrusted ? leases.covered : people
    const { gone } = leases
    const parts = new Map<readonly string[], { gets: readonly string[]; waits: readonly string[] }>()
    const decided: Decided[] = []
    const page: WaitingPage = {
      events: [],
      people: new Set(),
      until: Math.max(leases.until, this.#trustedFrom),
      dueAt: 0,
    }
    for (const { event, users, except } of addressed) {
      let part = parts.get(users)
      if (!part) {
        part = partition(without(users, gone), (user) => covered.has(user) || this.#waitedFor.has(user))
        parts.set(users, part)
        this.#ids += part.waits.length
        for (const user of part.waits) page.people.add(user)
      }
      const gets = withoutSender(part.gets, except, covered)
      if (gets.length > 0) decided.push({ event, users: gets })
      if (part.waits.length > 0) page.events.push({ seq: event.seq, users: part.waits, except })
    }
    if (decided.length > 0) this.#decide(decided)
    if (page.events.length > 0) this.#wait(page, leases.now)
  }

  forget(): void {
    this.#round++
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#deciding = undefined
    this.#waiting = []
    this.#waitedFor.clear()
    this.#events = 0
    this.#ids = 0
  }

  /** Nothing that waits is decided any more; it is asked again by whoever goes on. */
  stop(): void {
    this.#round++
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  /** `now` is from before anything was looked at. */
  async #leases(people: Set<string>) {
    const ids = [...people]
    const found = { now: Number.POSITIVE_INFINITY, until: 0, covered: new Set<string>(), gone: new Set<string>() }
    for (let from = 0; from < ids.length; from += PEOPLE_AT_ONCE) {
      const leases = await findLeases(this.#db, ids.slice(from, from + PEOPLE_AT_ONCE), this.#holder)
      const { now, nodeId, until, covered, gone } = leases
      this.#clock = now - performance.now()
      const isAnother = this.#nodeId !== undefined && this.#nodeId !== nodeId
      if (nodeId === null || isAnother) this.#trustedFrom = now + RECOVERY_MS
      this.#nodeId = nodeId ?? ''
      found.now = Math.min(found.now, now)
      found.until = Math.max(found.until, until)
      for (const user of covered) found.covered.add(user)
      for (const user of gone) found.gone.add(user)
    }
    return { ...found, isTrusted: found.now >= this.#trustedFrom }
  }

  #wait(page: WaitingPage, now: number): void {
    page.dueAt = performance.now() + Math.max(0, page.until - now)
    for (const user of page.people) this.#waitedFor.set(user, (this.#waitedFor.get(user) ?? 0) + 1)
    this.#events += page.events.length
    this.#waiting.push(page)
    this.#schedule()
  }

  #schedule(): void {
    const [page] = this.#waiting
    if (!page || this.#timer || this.#deciding || this.#isStopped) return
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        const round = this.#round
        this.#deciding = this.#decideDue(round).finally(() => {
          if (round !== this.#round) return
          this.#deciding = undefined
          this.#schedule()
        })
      },
      Math.max(1, page.dueAt - performance.now()),
    )
    this.#timer.unref()
  }

  async #decideDue(round: number): Promise<void> {
    try {
      for (let due = this.#due(); due.length > 0; due = this.#due()) {
        const { now, covered, gone, isTrusted } = await this.#leases(new Set(due.flatMap(({ people }) => [...people])))
        if (!isTrusted) for (const page of due) page.until = Math.max(page.until, this.#trustedFrom)
        for (const page of due) {
          if (round !== this.#round) return
          if (now <= page.until) {
            page.dueAt = performance.now() + (page.until - now) + 1
            break
          }
          await this.#decidePage(page, { covered, gone }, round)
        }
      }
    } catch (error) {
      if (round !== this.#round) return
      this.#observe.coverageFailed(error)
      const [page] = this.#waiting
      if (page) page.dueAt = performance.now() + RETRY_MS
    }
  }

  /** Those at the front whose time has come: mostly the pages between two beats of a node, whose leases end together. */
  #due(): WaitingPage[] {
    const now = performance.now()
    const notYet = this.#waiting.findIndex(({ dueAt }) => dueAt > now)
    return this.#waiting.slice(0, notYet === -1 ? undefined : notYet)
  }

  async #decidePage(
    page: WaitingPage,
    { covered, gone }: { covered: Set<string>; gone: Set<string> },
    round: number,
  ): Promise<void> {
    const lists = new Map<readonly string[], readonly string[]>()
    const missed: WaitingEvent[] = []
    for (const { seq, users, except } of page.events) {
      let left = lists.get(users)
      if (!left) {
        left = without(without(users, covered), gone)
        lists.set(users, left)
      }
      const gets = withoutSender(left, except, covered)
      if (gets.length > 0) missed.push({ seq, users: gets, except })
    }
    for (let from = 0; from < missed.length; from += EVENTS_AT_ONCE) {
      const slice = missed.slice(from, from + EVENTS_AT_ONCE)
      const events = await readEventsAt(
        this.#db,
        slice.map(({ seq }) => seq),
      )
      // Asked again: who has muted the room since it was said wants no push of it any more.
      const mutes = await Mutes.of(this.#db, events)
      if (round !== this.#round) return
      const bySeq = new Map(events.map((event) => [event.seq, event]))
      this.#decide(
        slice.flatMap(({ seq, users }) => {
          const event = bySeq.get(seq)
          const gets = event ? without(users, new Set(mutes.whoMuted(event))) : []
          return event && gets.length > 0 ? [{ event, users: gets }] : []
        }),
      )
    }
    this.#waiting.shift()
    this.#events -= page.events.length
    for (const users of lists.keys()) this.#ids -= users.length
    for (const user of page.people) {
      const pages = this.#waitedFor.get(user) ?? 1
      if (pages > 1) this.#waitedFor.set(user, pages - 1)
      else this.#waitedFor.delete(user)
    }
  }
}

function partition(users: readonly string[], waits: (user: string) => boolean) {
  const waiting = users.filter(waits)
  if (waiting.length === 0) return { gets: users, waits: [] }
  if (waiting.length === users.length) return { gets: [], waits: waiting }
  return { gets: users.filter((user) => !waits(user)), waits: waiting }
}

/** The same array where nobody of it is among the others. */
function without(users: readonly string[], others: Set<string>): readonly string[] {
  return others.size > 0 && users.some((user) => others.has(user)) ? users.filter((user) => !others.has(user)) : users
}

/** Mostly the sender has a stream, and is not among those who have none: then the list stays the same array. */
function withoutSender(users: readonly string[], except: string | null, covered: Set<string>): readonly string[] {
  if (except === null || covered.has(except) || !users.includes(except)) return users
  return users.filter((user) => user !== except)
}
