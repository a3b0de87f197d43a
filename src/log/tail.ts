/** The tail: reads the log in order as it grows, and hands each event to its followers. */
import type { Queryable } from '../infra/postgres.ts'
import { EventType, type LogEvent } from './event.ts'
import { readEvents, readLogState } from './log-repository.ts'
import { RecentLog } from './recent-log.ts'

export type TailObserver = {
  tailRead(events: number, position: number): void
  tailFailed(error: unknown): void
  /** What was read is no longer part of the log; nothing that is sent to clients from here can be trusted. */
  logReplaced(error: Error): void
}

/**
 * Called in order, with each event once; what comes next waits for what it returns. Several events at once are for the
 * members of one room, and so change nobody's memberships. Whatever goes wrong is the follower's own to mend: it is not
 * called with them again.
 */
export type Follower = (events: [LogEvent, ...LogEvent[]]) => Promise<void> | undefined

const PAGE = 1_000
const MAX_RUN = 64
const RETRY_MS = 500
/** With wake-ups the poll only makes up for a lost one. */
const POLL_AWAKE_MS = 2_000
const POLL_ALONE_MS = 250

export class Tail {
  /** The newest event that the followers have had; everything up to it they have had, too. */
  position = 0
  epoch = ''
  recent = new RecentLog(0, 0)
  readonly #db: Queryable
  readonly #observe: TailObserver
  readonly #memoryBytes: number
  readonly #isWoken: () => boolean
  readonly #followers: Follower[] = []
  #waiting: { seq: number; resolve: () => void }[] = []
  #timer: NodeJS.Timeout | undefined
  #reading: Promise<void> | undefined
  #again = false
  /** Before its start it has no place to read from. */
  #stopped = true

  /** `isWoken` tells whether wake-ups arrive at present; when they cease, somebody calls `wake`. */
  constructor(db: Queryable, observe: TailObserver, options: { memoryBytes: number; isWoken: () => boolean }) {
    this.#db = db
    this.#observe = observe
    this.#memoryBytes = options.memoryBytes
    this.#isWoken = options.isWoken
  }

  follow(follower: Follower): void {
    this.#followers.push(follower)
  }

  /** Begins at the log's present head. */
  async start(): Promise<void> {
    const state = await readLogState(this.#db)
    this.epoch = state.epoch
    this.position = state.headSeq
    this.recent = new RecentLog(state.headSeq, this.#memoryBytes)
    this.#stopped = false
    this.#schedule()
  }

  /**
   * Reads what is new; a wake while it reads makes it look once more.
   * @param seq the newest event's, where the caller knows it: what was read already is not read again
   */
  wake(seq = Number.POSITIVE_INFINITY): void {
    if (this.#stopped || seq <= this.position) return
    this.#again = true
    this.#reading ??= this.#read().finally(() => this.#done())
  }

  /**
   * Events that this process has appended, in order: they go to the followers as they are where nothing lies between
   * them and what was read, and are read otherwise.
   */
  appended(events: LogEvent[]): void {
    const [first, last] = [events[0], events.at(-1)]
    if (!first || !last) return
    const follows = first.seq === this.position + 1 && last.seq === this.position + events.length
    if (this.#stopped || this.#reading || !follows) {
      this.wake(last.seq)
      return
    }
    this.#reading = this.#follow(events)
      .catch((error: unknown) => this.#observe.tailFailed(error))
      .finally(() => this.#done())
  }

  /** Resolves when the followers have had everything up to `seq`. */
  reached(seq: number): Promise<void> {
    if (seq <= this.position) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiting.push({ seq, resolve })
      this.wake()
    })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#again = false
    clearTimeout(this.#timer)
    await this.#reading
  }

  #done(): void {
    this.#reading = undefined
    if (this.#again) this.wake()
    else this.#schedule()
  }

  async #read(): Promise<void> {
    clearTimeout(this.#timer)
    while (this.#again && !this.#stopped) {
      this.#again = false
      try {
        const { events, more } = await readEvents(this.#db, this.position, PAGE)
        await this.#follow(events)
        if (more) this.#again = true
        if (events.length === 0) await this.#requireSameLog()
      } catch (error) {
        this.#observe.tailFailed(error)
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
        this.#again = true
      }
    }
  }

  async #follow(events: LogEvent[]): Promise<void> {
    for (const run of runsOf(events)) {
      const waits = this.#deliver(run)
      if (waits.length === 0) continue
      this.#release()
      await Promise.all(waits)
      if (this.#stopped) return
    }
    this.#observe.tailRead(events.length, this.position)
    this.#release()
  }

  /** @returns what the followers wait for */
  #deliver(run: [LogEvent, ...LogEvent[]]): Promise<void>[] {
    for (const event of run) this.recent.push(event)
    this.position = run.at(-1)?.seq ?? this.position
    return this.#followers.flatMap((follower) => follower(run) ?? [])
  }

  /** A restored backup or a standby that was promoted too early has forgotten what followers were told. */
  async #requireSameLog(): Promise<void> {
    const { epoch, headSeq } = await readLogState(this.#db)
    if (epoch === this.epoch && headSeq >= this.position) return
    this.#stopped = true
    const what = epoch === this.epoch ? `ends at ${headSeq}, before ${this.position} that was read` : 'has a new epoch'
    this.#observe.logReplaced(new Error(`the log ${what}: was a backup restored?`))
  }

  #release(): void {
    if (this.#waiting.length === 0) return
    for (const { seq, resolve } of this.#waiting) if (seq <= this.position) resolve()
    this.#waiting = this.#waiting.filter(({ seq }) => seq > this.position)
  }

  #schedule(): void {
    if (this.#stopped) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.wake(), this.#isWoken() ? POLL_AWAKE_MS : POLL_ALONE_MS)
    this.#timer.unref()
  }
}

/** What follows one another for the members of one room goes together; all else is by itself. */
export function* runsOf(events: LogEvent[]): Generator<[LogEvent, ...LogEvent[]]> {
  let run: [LogEvent, ...LogEvent[]] | undefined
  for (const event of events) {
    if (run && isForRoom(event) && isForRoom(run[0]) && event.roomId === run[0].roomId && run.length < MAX_RUN) {
      run.push(event)
    } else {
      if (run) yield run
      run = [event]
    }
  }
  if (run) yield run
}

function isForRoom(event: LogEvent): boolean {
  return event.recipients === null && event.type !== EventType.RoomDeleted
}
