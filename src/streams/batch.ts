/** Frames that wait to be sent together. Streams that wait for the same ones share one batch, whose bytes are joined once. */

export class Batch {
  readonly bytes: number
  readonly #before: Batch | undefined
  readonly #frame: Buffer
  /** The batch of the stream that was served last: the next stream most often gets the same frame. */
  #next: Batch | undefined
  #joined: Buffer | undefined

  constructor(frame: Buffer, before?: Batch) {
    this.#frame = frame
    this.#before = before
    this.bytes = frame.length + (before?.bytes ?? 0)
  }

  with(frame: Buffer): Batch {
    if (this.#next?.isJust(frame) !== true) this.#next = new Batch(frame, this)
    return this.#next as Batch
  }

  /** Whether this is what `frame` adds to the batch before it. */
  isJust(frame: Buffer): boolean {
    return this.#frame === frame
  }

  joined(): Buffer {
    if (!this.#before) return this.#frame
    if (!this.#joined) {
      const joined = Buffer.allocUnsafe(this.bytes)
      let end = this.bytes
      for (let batch: Batch | undefined = this; batch; batch = batch.#before) {
        end -= batch.#frame.length
        batch.#frame.copy(joined, end)
      }
      this.#joined = joined
    }
    return this.#joined
  }
}

let latest: Batch | undefined

/** The batch of `frame` alone. */
export function batchOf(frame: Buffer): Batch {
  if (latest?.isJust(frame) !== true) latest = new Batch(frame)
  return latest as Batch
}

/** When nothing waits any more, so that the last batch does not stay in memory. */
export function forgetBatches(): void {
  latest = undefined
}
