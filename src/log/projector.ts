/** Runs one projection on one node at a time: waits for its lease, then works the log off in order. */
import { randomUUID } from 'node:crypto'
import type { Queryable } from '../infra/postgres.ts'
import type { LogEvent } from './event.ts'
import { readEvents, readLogState } from './log-repository.ts'
import { advance, type Lease, registerProjection, releaseLease, takeLease } from './projection.ts'

export type Projection = {
  name: string
  /** Done with the events, for good, when it resolves; they may come again after a crash. */
  apply(events: LogEvent[]): Promise<void>
}

export type ProjectorObserver = {
  projected(name: string, events: number, seq: number): void
  projectionFailed(name: string, error: unknown): void
}

const PAGE = 2_000
/** Below the lease's five seconds, so that it is prolonged in time while there is nothing to do. */
const IDLE_MS = 1_000
const RETRY_MS = 1_000
/** Between two looks at the log: nothing waits for a projection, and larger pages cost less. */
const GATHER_MS = 100

export class Projector {
  readonly #db: Queryable
  readonly #projection: Projection
  readonly #observe: ProjectorObserver
  readonly #holder = randomUUID()
  #wakeUp: (() => void) | undefined
  #woken = false
  #stopped = false
  #running: Promise<void> | undefined

  constructor(db: Queryable, projection: Projection, observe: ProjectorObserver) {
    this.#db = db
    this.#projection = projection
    this.#observe = observe
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** There may be something new. */
  wake(): void {
    this.#woken = true
    this.#wakeUp?.()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.wake()
    await this.#running
    await releaseLease(this.#db, this.#projection.name, this.#holder).catch(() => {})
  }

  async #run(): Promise<void> {
    let registered = false
    while (!this.#stopped) {
      try {
        if (!registered) await registerProjection(this.#db, this.#projection.name, 0)
        registered = true
        const lease = await takeLease(this.#db, this.#projection.name, this.#holder)
        if (lease) await this.#work(lease)
        await this.#pause(IDLE_MS)
        if (!this.#stopped) await new Promise((resolve) => setTimeout(resolve, GATHER_MS))
      } catch (error) {
        this.#observe.projectionFailed(this.#projection.name, error)
        await this.#pause(RETRY_MS)
      }
    }
  }

  /** Until nothing is left or the lease is lost. */
  async #work(lease: Lease): Promise<void> {
    let { seq } = lease
    while (!this.#stopped) {
      const events = await readEvents(this.#db, seq, PAGE)
      const last = events.at(-1)
      if (!last) {
        await this.#refuseBeyondHead(seq)
        return
      }
      await this.#projection.apply(events)
      if (!(await advance(this.#db, this.#projection.name, lease, last.seq))) return
      seq = last.seq
      this.#observe.projected(this.#projection.name, events.length, seq)
    }
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
