/** This node as the others see it: that it runs, who is connected to it, and how far its tail is. */
import { randomUUID } from 'node:crypto'
import type { Queryable } from '../infra/postgres.ts'
import { beat, endNode, insertNode, type TailLag } from './node-repository.ts'

export type NodePresenceOptions = {
  name: string
  /** What projections call this node. */
  holder: string
  /** The newest event that the tail has read. */
  tailSeq: () => number
}

export type NodePresenceObserver = {
  tailLagged(lag: TailLag): void
  presenceFailed(error: unknown): void
}

/** How long others wait for who came and who went. */
const BEAT_MS = 1_000
/** Where nobody came or went. */
const IDLE_MS = 3_000
/** People in one statement: thousands that reconnect at once are several short ones. */
const BATCH = 2_000
const END_MS = 1_000

export class NodePresence {
  readonly #db: Queryable
  readonly #options: NodePresenceOptions
  readonly #observe: NodePresenceObserver
  /** Whoever has a stream here. */
  readonly #connected = new Set<string>()
  /** Whoever has a row under the present id. */
  readonly #stored = new Set<string>()
  /** Whoever came or went since they were last taken down. */
  readonly #changed = new Set<string>()
  /** Another one each time that the lease was lost: what is left under the former is cleared away meanwhile. */
  #id: string | undefined
  #beatAt = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined
  #beating: Promise<void> | undefined
  #stopped = false

  constructor(db: Queryable, options: NodePresenceOptions, observe: NodePresenceObserver) {
    this.#db = db
    this.#options = options
    this.#observe = observe
  }

  /** Somebody's first stream here was opened. */
  arrived(userId: string): void {
    this.#connected.add(userId)
    this.#changed.add(userId)
  }

  /** Their last one has ended. */
  left(userId: string): void {
    this.#connected.delete(userId)
    this.#changed.add(userId)
  }

  start(): void {
    this.#timer = setInterval(() => this.#tick(), BEAT_MS)
    this.#timer.unref()
    this.#tick()
  }

  /** Whoever was connected is not any more. Where this fails the lease ends by itself. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearInterval(this.#timer)
    await Promise.race([this.#end(), new Promise((resolve) => setTimeout(resolve, END_MS).unref())])
  }

  async #end(): Promise<void> {
    await this.#beating
    if (this.#id) await endNode(this.#db, this.#id).catch(this.#observe.presenceFailed)
  }

  #tick(): void {
    if (this.#changed.size === 0 && performance.now() - this.#beatAt < IDLE_MS) return
    this.#beating ??= this.#beatAll()
      .catch((error: unknown) => this.#observe.presenceFailed(error))
      .finally(() => {
        this.#beating = undefined
      })
  }

  async #beatAll(): Promise<void> {
    do {
      const id = this.#id ?? (await this.#begin())
      const batch = [...this.#changed].slice(0, BATCH)
      for (const userId of batch) this.#changed.delete(userId)
      const came = batch.filter((userId) => this.#connected.has(userId) && !this.#stored.has(userId))
      const went = batch.filter((userId) => !this.#connected.has(userId))
      this.#beatAt = performance.now()
      const { taken, tail } = await beat(this.#db, id, this.#options.tailSeq(), came, went).catch((error: unknown) => {
        this.#notTakenDown(batch)
        // It may have been taken down all the same: whoever is back by the next beat has no row then.
        for (const userId of went) this.#stored.delete(userId)
        throw error
      })
      this.#observe.tailLagged(tail)
      if (taken) {
        for (const userId of came) this.#stored.add(userId)
        for (const userId of went) this.#stored.delete(userId)
      } else {
        this.#notTakenDown(batch)
        this.#id = undefined
      }
    } while ((this.#changed.size > 0 || !this.#id) && !this.#stopped)
  }

  async #begin(): Promise<string> {
    const id = randomUUID()
    await insertNode(this.#db, { id, name: this.#options.name, holder: this.#options.holder })
    this.#id = id
    this.#stored.clear()
    for (const userId of this.#connected) this.#changed.add(userId)
    return id
  }

  #notTakenDown(batch: string[]): void {
    for (const userId of batch) this.#changed.add(userId)
  }
}
