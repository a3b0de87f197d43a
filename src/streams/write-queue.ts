/**
 * Streams that have something to send, served a slice in each turn of the event loop, so that a large room delays
 * nobody. Who gets an event was decided before: a stream's place in the queue changes only when its bytes leave.
 */
import { forgetBatches } from './batch.ts'

export type Writer = { flush(): void }

/** How long one turn serves a lane: a request that takes five turns still answers within milliseconds. */
const SLICE_MS = 1
/** The clock is looked at after so many. */
const STEP = 16

/** First come, first served. One stream may wait in it more than once: the first time takes all. */
class Lane {
  #serving: Writer[] = []
  #served = 0
  #arriving: Writer[] = []

  get isEmpty(): boolean {
    return this.#served === this.#serving.length && this.#arriving.length === 0
  }

  add(writer: Writer): void {
    this.#arriving.push(writer)
  }

  serve(): void {
    const until = performance.now() + SLICE_MS
    while (!this.isEmpty) {
      if (this.#served === this.#serving.length) {
        this.#serving = this.#arriving
        this.#arriving = []
        this.#served = 0
      }
      const end = Math.min(this.#served + STEP, this.#serving.length)
      while (this.#served < end) this.#serving[this.#served++]?.flush()
      if (performance.now() >= until) return
    }
    this.#serving = []
    this.#served = 0
  }
}

class WriteQueue {
  readonly #quick = new Lane()
  readonly #bulk = new Lane()
  #isScheduled = false

  /** @param isBulk among many others: it lets streams with less company go first */
  add(writer: Writer, isBulk: boolean): void {
    if (isBulk) this.#bulk.add(writer)
    else this.#quick.add(writer)
    this.#schedule()
  }

  /** Resolves when all that waits now has been served. */
  async served(): Promise<void> {
    await Promise.all([false, true].map((isBulk) => new Promise<void>((flush) => this.add({ flush }, isBulk))))
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(this.#turn)
  }

  readonly #turn = (): void => {
    this.#isScheduled = false
    this.#quick.serve()
    this.#bulk.serve()
    if (this.#quick.isEmpty && this.#bulk.isEmpty) forgetBatches()
    else this.#schedule()
  }
}

/** One for the process, as the event loop is. */
export const writeQueue = new WriteQueue()
