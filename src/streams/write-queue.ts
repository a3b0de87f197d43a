/**
 * Streams that have something to send, served a slice in each turn of the event loop, so that a large room delays
 * nobody. Who gets an event was decided before: a stream's place in the queue changes only when its bytes leave.
 */
import { Fifo } from '../shared/fifo.ts'
import { forgetBatches } from './batch.ts'

export type Writer = { flush(): void }

/** How long one turn serves a lane: a request that takes five turns still answers within milliseconds. */
const SLICE_MS = 1
/** The clock is looked at after so many. */
const STEP = 16

/** One stream may wait in it more than once: the first time takes all. */
type Lane = Fifo<Writer>

function serve(lane: Lane): void {
  const until = performance.now() + SLICE_MS
  while (!lane.isEmpty) {
    for (let n = 0; n < STEP && !lane.isEmpty; n++) lane.take().flush()
    if (performance.now() >= until) return
  }
}

class WriteQueue {
  readonly #quick: Lane = new Fifo()
  readonly #bulk: Lane = new Fifo()
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
    serve(this.#quick)
    serve(this.#bulk)
    if (this.#quick.isEmpty && this.#bulk.isEmpty) forgetBatches()
    else this.#schedule()
  }
}

/** One for the process, as the event loop is. */
export const writeQueue = new WriteQueue()
