/** Hands pushes to one target: batched, in order for each person, tried again, and given up in the end. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Answer } from '../deliveries/answer.ts'
import { type BackOff, backOffMs, DELIVERY_BACK_OFF, MAX_REFUSALS } from '../deliveries/back-off.ts'
import { BatchSize } from './batch-size.ts'
import { type Held, HeldPushes } from './held-pushes.ts'
import { OpenPushes } from './open-pushes.ts'
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
  backOff?: BackOff
}

type Unanswered = Extract<Answer, { outcome: 'unanswered' }>

export type PushQueueObserver = {
  pushed(target: string, pushes: number): void
  pushRefused(target: string, push: { seq: number; attempts: number }, reason: string): void
  pushUnanswered(target: string, reason: string, retryMs: number): void
  pushesDied(target: string, pushes: number, reason: string): void
}

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
  readonly #held = new HeldPushes()
  readonly #size: BatchSize
  readonly #backOff: BackOff
  /** The last one tried was a held one. */
  #triedHeld = false
  readonly #open = new OpenPushes()
  /** In a row. */
  #failures = 0
  #acceptances = 0
  #trouble: string | undefined
  #abort = new AbortController()
  #running: Promise<void> | undefined
  #endPause: (() => void) | undefined
  /** There is nothing to do but wait for more. */
  #isIdle = false
  #isStopping = false

  constructor(target: PushTarget, options: PushQueueOptions, observe: PushQueueObserver) {
    this.#target = target
    this.#size = new BatchSize(target.maxPushes)
    this.#options = options
    this.#backOff = options.backOff ?? DELIVERY_BACK_OFF
    this.#observe = observe
  }

  /** In each person's order. */
  add(pushes: Push[]): void {
    for (const push of pushes) {
      this.#open.add(push)
      this.#waiting.push(push)
    }
    if (this.#isIdle) this.#endPause?.()
    this.#running ??= this.#run(this.#abort.signal)
  }

  get isFull(): boolean {
    return this.#open.isFull
  }

  /** Of what is not delivered; Infinity where all is. */
  get oldestSeq(): number {
    return this.#open.oldestSeq
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
    this.#held.clear()
    this.#size.reset()
    this.#open.clear()
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
    const { batch, held } = this.#next()
    if (batch.length === 0) return this.#idle(signal)
    const young = await this.#buryOld(batch, signal)
    if (signal.aborted) return
    if (young.length > 0) await this.#send(this.#upToLimit(young), held, signal)
    else if (held) this.#release(held)
  }

  /** By turns, so that those which are held do not keep all others waiting. */
  #next(): { batch: Push[]; held?: Held } {
    const held = this.#held.due()
    const batch = held && !this.#triedHeld ? [] : this.#nextBatch()
    this.#triedHeld = batch.length === 0 && held !== undefined
    return held && batch.length === 0 ? { batch: [held.push], held } : { batch }
  }

  async #send(batch: Push[], held: Held | undefined, signal: AbortSignal): Promise<void> {
    for (const push of batch) push.attempts++
    const answer = await this.#target.send(batch, signal)
    if (signal.aborted) return
    if (answer.outcome === 'unanswered') return this.#unanswered(batch, held, answer, signal)
    this.#failures = 0
    if (answer.outcome === 'refused') return this.#refused(batch, held, answer.reason, signal)
    this.#trouble = undefined
    this.#acceptances++
    this.#size.accepted(batch.length)
    this.#held.hurry()
    this.#observe.pushed(this.#target.name, batch.length)
    this.#closed(batch)
    if (held) this.#release(held)
  }

  /**
   * Either the target takes nothing, or it does not get done with this: fewer are tried, in the end a single one, and
   * then others before it. Once others are accepted it is about that one.
   */
  async #unanswered(batch: Push[], before: Held | undefined, answer: Unanswered, signal: AbortSignal): Promise<void> {
    if (before && before.acceptances !== this.#acceptances) {
      await this.#refused(batch, before, answer.reason, signal)
      return this.#pause(answer.retryAfterMs ?? 0, signal)
    }
    this.#trouble = answer.reason
    const wait = Math.max(answer.retryAfterMs ?? 0, backOffMs(++this.#failures, this.#backOff))
    this.#observe.pushUnanswered(this.#target.name, answer.reason, wait)
    const [push] = batch
    if (batch.length > 1 || !push) {
      this.#size.unanswered(batch.length)
      this.#first.unshift(batch)
    } else this.#later(before ?? this.#held.hold(push), wait)
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
    const held = before ?? this.#held.hold(push)
    held.refusals++
    this.#later(held, backOffMs(held.refusals, this.#backOff))
    if (held.refusals < MAX_REFUSALS) return
    await this.#bury([push], `refused ${MAX_REFUSALS} times: ${reason}`, signal)
    if (!signal.aborted) this.#release(held)
  }

  #later(held: Held, wait: number): void {
    held.acceptances = this.#acceptances
    held.dueAt = performance.now() + wait
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

  /** Empty, too, while too much is held up: those who hold it up are tried as ever. */
  #nextBatch(): Push[] {
    for (;;) {
      if (this.#held.isFull) return []
      const [source = this.#waiting] = this.#first
      const batch = this.#take(source)
      if (source !== this.#waiting && source.length === 0) this.#first.shift()
      if (batch.length > 0 || source === this.#waiting) return batch
    }
  }

  /** As much as one request carries; at least one push where there is one that nobody holds up. */
  #take(source: Push[]): Push[] {
    const { maxPushes, maxBytes } = this.#target
    const batch: Push[] = []
    let taken = 0
    for (let bytes = 0; taken < source.length && batch.length < maxPushes && !this.#held.isFull; taken++) {
      const push = source[taken]
      if (!push) break
      bytes += sizeOf(push)
      if (batch.length > 0 && bytes > maxBytes) break
      batch.push(...this.#withoutHeldUp(push))
    }
    source.splice(0, taken)
    return batch
  }

  #upToLimit(batch: Push[]): Push[] {
    if (batch.length <= this.#size.limit) return batch
    this.#first.unshift(batch.slice(this.#size.limit))
    return batch.slice(0, this.#size.limit)
  }

  /** @returns the push for those who are not held up; for the others it waits behind what holds them up */
  #withoutHeldUp(push: Push): Push[] {
    const parts = this.#held.split(push)
    if (!parts) return [push]
    const free = parts.free ? [parts.free] : []
    for (const part of [...free, ...parts.behind]) this.#open.add(part)
    this.#closed([push])
    return free
  }

  #release(held: Held): void {
    const behind = this.#held.release(held)
    if (behind.length > 0) this.#first.unshift(behind)
  }

  /** Until more comes, or one that is held is due. */
  async #idle(signal: AbortSignal): Promise<void> {
    this.#isIdle = true
    await this.#pause(Math.max(1, this.#held.nextDueAt - performance.now()), signal)
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

  #closed(pushes: Push[]): void {
    const wasFull = this.isFull
    for (const push of pushes) this.#open.remove(push)
    if (this.#open.size === 0) this.#trouble = undefined
    if ((wasFull && !this.isFull) || this.#open.size === 0) this.#options.drained()
  }
}
