/** Hands pushes to one target: batched, in order for each person, tried again, and given up in the end. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Answer } from '../deliveries/answer.ts'
import { backOffMs } from '../deliveries/back-off.ts'
import { type Push, sizeOf } from './push.ts'
import type { PushTarget } from './push-target.ts'

export type PushQueueOptions = {
  maxAgeMs: number
  /** In milliseconds since 1970 by PostgreSQL's clock. */
  now(): number
  /** Whether this node has the lease: one that was frozen must not deliver what another has done meanwhile. */
  mayDeliver(): boolean
  /** Keeps what is given up. */
  bury(dead: { push: Push; reason: string }[]): Promise<void>
  /** There may be room again. */
  drained(): void
}

export type PushQueueObserver = {
  pushed(target: string, pushes: number): void
  pushRefused(target: string, push: { seq: number; attempts: number }, reason: string): void
  pushUnanswered(target: string, reason: string, retryMs: number): void
  pushesDied(target: string, pushes: number, reason: string): void
}

/** One that was refused by itself, and what came since for its people. */
type Held = { push: Push; refusals: number; dueAt: number; behind: Push[] }

const MAX_REFUSALS = 8
/** People wait behind a refused push: it is decided within half a minute. */
const REFUSED = { firstMs: 500, maxMs: 5_000 }
const UNANSWERED = { firstMs: 500, maxMs: 30_000 }
const MAX_PUSHES = 20_000
const MAX_BYTES = 32 * 1024 * 1024
const NO_LEASE_MS = 200
const BURY_RETRY_MS = 1_000
const STOP_MS = 2_000

export class PushQueue {
  readonly #target: PushTarget
  readonly #options: PushQueueOptions
  readonly #observe: PushQueueObserver
  #waiting: Push[] = []
  /** What goes before everything that waits, in its order: a batch that failed, its parts, what was behind a held one. */
  #first: Push[][] = []
  /** Which push holds somebody up. */
  readonly #heldUp = new Map<string, Held>()
  readonly #held = new Set<Held>()
  /** Everything that is neither accepted nor buried. */
  readonly #open = new Set<Push>()
  #bytes = 0
  /** In a row. */
  #failures = 0
  #trouble: string | undefined
  #abort = new AbortController()
  #running: Promise<void> | undefined
  #endPause: (() => void) | undefined
  /** There is nothing to do but wait for more. */
  #isIdle = false
  #isStopping = false

  constructor(target: PushTarget, options: PushQueueOptions, observe: PushQueueObserver) {
    this.#target = target
    this.#options = options
    this.#observe = observe
  }

  /** In each person's order. */
  add(pushes: Push[]): void {
    for (const push of pushes) {
      this.#opened(push)
      this.#waiting.push(push)
    }
    if (this.#isIdle) this.#endPause?.()
    this.#running ??= this.#run(this.#abort.signal)
  }

  get isFull(): boolean {
    return this.#open.size >= MAX_PUSHES || this.#bytes >= MAX_BYTES
  }

  /** Of what is not delivered; Infinity where all is. */
  get oldestSeq(): number {
    let oldest = Number.POSITIVE_INFINITY
    for (const { seq } of this.#open) oldest = Math.min(oldest, seq)
    return oldest
  }

  /** Why the target did not take what it was sent last. */
  get trouble(): string | undefined {
    return this.#trouble
  }

  /** Forgets everything: it will come again, here or elsewhere. */
  abandon(): void {
    this.#abort.abort()
    this.#abort = new AbortController()
    this.#running = undefined
    this.#waiting = []
    this.#first = []
    this.#heldUp.clear()
    this.#held.clear()
    this.#open.clear()
    this.#bytes = 0
    this.#failures = 0
    this.#trouble = undefined
  }

  /** What is on its way may arrive. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#endPause?.()
    await Promise.race([this.#running, delay(STOP_MS, undefined, { ref: false })])
    this.#abort.abort()
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.#isStopping && this.#open.size > 0) {
      if (this.#options.mayDeliver()) await this.#step(signal)
      else await this.#pause(NO_LEASE_MS, signal)
    }
    if (!signal.aborted) this.#running = undefined
  }

  async #step(signal: AbortSignal): Promise<void> {
    const held = this.#dueHeld()
    const batch = held ? [held.push] : this.#nextBatch()
    if (batch.length === 0) return this.#idle(signal)
    const young = await this.#buryOld(batch, signal)
    if (signal.aborted) return
    if (young.length > 0) await this.#send(young, held, signal)
    else if (held) this.#release(held)
  }

  async #send(batch: Push[], held: Held | undefined, signal: AbortSignal): Promise<void> {
    for (const push of batch) push.attempts++
    const answer = await this.#target.send(batch, signal)
    if (signal.aborted) return
    if (answer.outcome === 'unanswered') {
      if (!held) this.#first.unshift(batch)
      return this.#unanswered(answer, signal)
    }
    this.#failures = 0
    if (answer.outcome === 'refused') return this.#refused(batch, held, answer.reason, signal)
    this.#trouble = undefined
    this.#observe.pushed(this.#target.name, batch.length)
    this.#closed(batch)
    if (held) this.#release(held)
  }

  async #unanswered(answer: Answer & { outcome: 'unanswered' }, signal: AbortSignal): Promise<void> {
    this.#trouble = answer.reason
    const wait = Math.max(answer.retryAfterMs ?? 0, backOffMs(++this.#failures, UNANSWERED))
    this.#observe.pushUnanswered(this.#target.name, answer.reason, wait)
    await this.#pause(wait, signal)
  }

  /** Halved until the one that is refused is alone. */
  async #refused(batch: Push[], before: Held | undefined, reason: string, signal: AbortSignal): Promise<void> {
    const [push] = batch
    if (batch.length > 1 || !push) {
      const half = batch.length >> 1
      this.#first.unshift(batch.slice(0, half), batch.slice(half))
      return
    }
    this.#trouble = reason
    this.#observe.pushRefused(this.#target.name, push, reason)
    const held = before ?? this.#hold(push)
    held.refusals++
    held.dueAt = performance.now() + backOffMs(held.refusals, REFUSED)
    if (held.refusals < MAX_REFUSALS) return
    await this.#bury([push], `refused ${MAX_REFUSALS} times: ${reason}`, signal)
    if (!signal.aborted) this.#release(held)
  }

  /** @returns those that are not too old */
  async #buryOld(batch: Push[], signal: AbortSignal): Promise<Push[]> {
    const { maxAgeMs, now } = this.#options
    const oldest = now() - maxAgeMs
    const old = batch.filter(({ loggedAt }) => loggedAt < oldest)
    if (old.length === 0) return batch
    const why = this.#trouble === undefined ? '' : `: ${this.#trouble}`
    await this.#bury(old, `older than ${Math.round(maxAgeMs / 1_000)} seconds${why}`, signal)
    return batch.filter(({ loggedAt }) => loggedAt >= oldest)
  }

  async #bury(pushes: Push[], reason: string, signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        await this.#options.bury(pushes.map((push) => ({ push, reason })))
        break
      } catch {
        // The projection notices a database that is away by itself.
        await this.#pause(BURY_RETRY_MS, signal)
        if (signal.aborted || this.#isStopping) return
      }
    }
    if (signal.aborted) return
    this.#observe.pushesDied(this.#target.name, pushes.length, reason)
    this.#closed(pushes)
  }

  #nextBatch(): Push[] {
    const { maxPushes, maxBytes } = this.#target
    while (this.#first.length > 0) {
      const batch = this.#first.shift()?.flatMap((push) => this.#withoutHeldUp(push)) ?? []
      if (batch.length > 0) return batch
    }
    const batch: Push[] = []
    let taken = 0
    for (let bytes = 0; taken < this.#waiting.length && batch.length < maxPushes; taken++) {
      const push = this.#waiting[taken]
      if (!push) break
      bytes += sizeOf(push)
      if (batch.length > 0 && bytes > maxBytes) break
      batch.push(...this.#withoutHeldUp(push))
    }
    this.#waiting.splice(0, taken)
    return batch
  }

  /** @returns the push for those who are not held up; for the others it waits behind what holds them up */
  #withoutHeldUp(push: Push): Push[] {
    if (this.#heldUp.size === 0 || !push.users.some((user) => this.#heldUp.has(user))) return [push]
    this.#closed([push])
    const free = push.users.filter((user) => !this.#heldUp.has(user))
    for (const held of this.#held) {
      const users = push.users.filter((user) => this.#heldUp.get(user) === held)
      if (users.length > 0) held.behind.push(this.#opened({ ...push, users }))
    }
    return free.length > 0 ? [this.#opened({ ...push, users: free })] : []
  }

  #hold(push: Push): Held {
    const held: Held = { push, refusals: 0, dueAt: 0, behind: [] }
    this.#held.add(held)
    for (const user of push.users) this.#heldUp.set(user, held)
    return held
  }

  #release(held: Held): void {
    this.#held.delete(held)
    for (const user of held.push.users) this.#heldUp.delete(user)
    const { maxPushes } = this.#target
    const batches: Push[][] = []
    for (let from = 0; from < held.behind.length; from += maxPushes)
      batches.push(held.behind.slice(from, from + maxPushes))
    this.#first.unshift(...batches)
  }

  #dueHeld(): Held | undefined {
    const now = performance.now()
    for (const held of this.#held) if (held.dueAt <= now) return held
    return undefined
  }

  /** Until more comes, or one that is held is due. */
  async #idle(signal: AbortSignal): Promise<void> {
    const due = Math.min(...[...this.#held].map(({ dueAt }) => dueAt))
    this.#isIdle = true
    await this.#pause(Math.max(1, due - performance.now()), signal)
    this.#isIdle = false
  }

  #pause(milliseconds: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#isStopping) return Promise.resolve()
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', end)
        this.#endPause = undefined
        resolve()
      }
      const timer = setTimeout(end, milliseconds)
      timer.unref()
      signal.addEventListener('abort', end)
      this.#endPause = end
    })
  }

  #opened(push: Push): Push {
    this.#open.add(push)
    this.#bytes += sizeOf(push)
    return push
  }

  #closed(pushes: Push[]): void {
    const wasFull = this.isFull
    for (const push of pushes) if (this.#open.delete(push)) this.#bytes -= sizeOf(push)
    if ((wasFull && !this.isFull) || this.#open.size === 0) this.#options.drained()
  }
}
