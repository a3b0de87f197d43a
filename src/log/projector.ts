/** Runs one projection on one node at a time: waits for its lease, then works the log off in order. */
import type { Queryable } from '../infra/postgres.ts'
import type { LogEvent } from './event.ts'
import type { LogReader } from './log-reader.ts'
import { readEvents, readLogState } from './log-repository.ts'
import { advance, LEASE_SECONDS, type Lease, registerProjection, releaseLease, takeLease } from './projection.ts'

export type Projection = {
  name: string
  /** Done with the events when it resolves; they may come again, after a crash or where `settling` says so. */
  apply(events: LogEvent[]): Promise<void>
  /** Without it, what is done is done for good. */
  settling?: Settling
  /** With it, `apply` only takes the events on, and its position follows what is done. */
  underWay?: UnderWay
  /** A new one begins at the log's start unless it says 'head'. */
  begins?: 'head'
  /** How long what comes in gathers into one page. */
  gatherMilliseconds?: number
  /** Most events of one page. */
  pageEvents?: number
  /** Where it reads the log instead of the database. */
  read?: LogReader
}

/** What is done may still be lost for a while: its position is taken once that is over, and it is done again if need be. */
export type Settling = {
  readonly milliseconds: number
  /** Counts the times that what was not settled may have been lost. */
  interruptions(): number
}

export type UnderWay = {
  /** Of what was taken on, everything up to this seq is done; Infinity where nothing is under way. */
  doneUpTo(): number
  /** It takes no more at present. Whoever has room again wakes the projector. */
  isFull(): boolean
  /** What was taken on is forgotten: another node may work at it, or it will come again. */
  abandon(): void
  /** Finishes what can be finished within a few seconds; nothing is taken on after it. */
  stop(): Promise<void>
}

/** Done, but not settled. */
type Step = { seq: number; at: number; interruptions: number }

export type ProjectorObserver = {
  projected(name: string, events: number, seq: number): void
  projectionFailed(name: string, error: unknown): void
}

const PAGE = 2_000
const IDLE_MS = 1_000
/** Below the lease's five seconds by more than IDLE_MS, so that it is prolonged in time while there is nothing to do. */
const FRESH_MS = 2_000
const RETRY_MS = 1_000
/** As long as PostgreSQL gives it; counted from the moment of asking, so that it ends here first. */
const LEASE_MS = LEASE_SECONDS * 1_000
/** Between two looks at the log: nothing waits for a projection, and larger pages cost less. */
const GATHER_MS = 100

export class Projector {
  readonly #db: Queryable
  readonly #leases: Queryable
  readonly #projection: Projection
  readonly #observe: ProjectorObserver
  readonly #holder: string
  #lease: Lease | undefined
  /** In order, all after the lease's position. */
  #unsettled: Step[] = []
  /** When the lease was last asked for, by the monotonic clock; a frozen node's is not fresh when it wakes. */
  #prolongedAt = 0
  #wakeUp: (() => void) | undefined
  #woken = false
  #stopped = false
  #registered = false
  #running: Promise<void> | undefined

  /**
   * @param holder what this node is called, a UUID
   * @param leases where the lease is held, which must not wait behind requests
   */
  constructor(
    db: Queryable,
    projection: Projection,
    observe: ProjectorObserver,
    holder: string,
    leases: Queryable = db,
  ) {
    this.#db = db
    this.#leases = leases
    this.#holder = holder
    this.#projection = projection
    this.#observe = observe
  }

  /** Resolves when the projection is known: what is appended from then on is for it. */
  async register(): Promise<void> {
    const { name, begins } = this.#projection
    const seq = begins === 'head' ? (await readLogState(this.#db)).headSeq : 0
    await registerProjection(this.#db, name, seq)
    this.#registered = true
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Whether this node surely has the lease; not so for one that was frozen, until it has asked again. */
  get isHolder(): boolean {
    return this.#lease !== undefined && performance.now() - this.#prolongedAt < LEASE_MS
  }

  /** There may be something new; a node without the lease looks for that now and then, not at each commit. */
  wake(): void {
    if (!this.#lease && !this.#stopped) return
    this.#woken = true
    this.#wakeUp?.()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.wake()
    await this.#running
    if (this.#projection.underWay) {
      await this.#projection.underWay.stop()
      await this.#settle().catch(() => {})
    }
    await releaseLease(this.#leases, this.#projection.name, this.#holder).catch(() => {})
  }

  async #run(): Promise<void> {
    const { gatherMilliseconds = GATHER_MS } = this.#projection
    while (!this.#stopped) {
      try {
        if (!this.#registered) await this.register()
        await this.#work()
        await this.#pause(IDLE_MS)
        if (!this.#stopped) await new Promise((resolve) => setTimeout(resolve, gatherMilliseconds))
      } catch (error) {
        this.#lease = undefined
        this.#forget()
        this.#observe.projectionFailed(this.#projection.name, error)
        // What was appended meanwhile is no reason to try again at once.
        this.#woken = this.#stopped
        await this.#pause(RETRY_MS)
      }
    }
  }

  /** Takes the lease, or prolongs it where it is not fresh: fewer versions of its row while a snapshot is open. */
  async #holdLease(): Promise<boolean> {
    if (!this.#lease || performance.now() - this.#prolongedAt > FRESH_MS) {
      const asked = performance.now()
      const lease = await takeLease(this.#leases, this.#projection.name, this.#holder)
      // Under another epoch somebody else may have worked meanwhile.
      if (lease?.epoch !== this.#lease?.epoch) this.#forget()
      this.#lease = lease
      this.#prolongedAt = asked
    }
    return this.#lease !== undefined
  }

  /** Until nothing is left or the lease is lost. */
  async #work(): Promise<void> {
    while (!this.#stopped && (await this.#holdLease())) {
      const interruptions = this.#interruptions()
      if (this.#unsettled.some((step) => step.interruptions !== interruptions)) this.#unsettled = []
      if (this.#projection.underWay?.isFull()) return this.#settle()
      const after = this.#unsettled.at(-1)?.seq ?? this.#lease?.seq ?? 0
      const { read = (...range) => readEvents(this.#db, ...range), pageEvents = PAGE } = this.#projection
      const { events, more } = await read(after, pageEvents)
      const last = events.at(-1)
      if (last) {
        await this.#apply(events)
        this.#unsettled.push({ seq: last.seq, at: performance.now(), interruptions })
        this.#observe.projected(this.#projection.name, events.length, last.seq)
      } else {
        await this.#refuseBeyondHead(after)
      }
      await this.#settle()
      // What comes in meanwhile is better gathered into the next page than read one by one.
      if (!more) return
    }
  }

  /** Nodes would take what is longer than a lease from each other for ever, and none would get done with it. */
  async #apply(events: LogEvent[]): Promise<void> {
    const prolonging = setInterval(() => void this.#prolong(), FRESH_MS)
    try {
      await this.#projection.apply(events)
    } finally {
      clearInterval(prolonging)
    }
  }

  /** Where it fails, the position is not taken either. */
  async #prolong(): Promise<void> {
    const lease = this.#lease
    if (!lease) return
    const asked = performance.now()
    const isOurs = await advance(this.#leases, this.#projection.name, lease, lease.seq).catch(() => false)
    if (isOurs && lease === this.#lease) this.#prolongedAt = asked
  }

  /** Moves the position up to what is done and cannot be lost any more. */
  async #settle(): Promise<void> {
    const settled = this.#settledSeq()
    if (settled === undefined || !this.#lease || settled <= this.#lease.seq) return
    const { epoch } = this.#lease
    const asked = performance.now()
    const isOurs = await advance(this.#leases, this.#projection.name, this.#lease, settled)
    this.#lease = isOurs ? { seq: settled, epoch } : undefined
    if (isOurs) this.#unsettled = this.#unsettled.filter(({ seq }) => seq > settled)
    else this.#forget()
    this.#prolongedAt = asked
  }

  #settledSeq(): number | undefined {
    const { underWay, settling } = this.#projection
    if (underWay) return Math.min(underWay.doneUpTo(), this.#unsettled.at(-1)?.seq ?? 0)
    const settledAt = performance.now() - (settling?.milliseconds ?? 0)
    const settled = this.#unsettled.findLast(({ at }) => at <= settledAt)
    return settled?.interruptions === this.#interruptions() ? settled.seq : undefined
  }

  /** What was taken on without its position is read again, here or elsewhere. */
  #forget(): void {
    this.#unsettled = []
    this.#projection.underWay?.abandon()
  }

  #interruptions(): number {
    return this.#projection.settling?.interruptions() ?? 0
  }

  /** A position past the log's end belongs to another history: going on would skip events in silence. */
  async #refuseBeyondHead(seq: number): Promise<void> {
    const { headSeq } = await readLogState(this.#db)
    if (seq > headSeq)
      throw new Error(`its position ${seq} lies beyond the log's head ${headSeq}: was a backup restored?`)
  }

  async #pause(milliseconds: number): Promise<void> {
    if (!this.#woken) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, milliseconds)
        this.#wakeUp = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.#wakeUp = undefined
    }
    this.#woken = false
  }
}
