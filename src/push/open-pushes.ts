/** Every push that is neither accepted nor given up: how many may be in memory, and how far the projection is. */
import { type Push, sizeOf } from './push.ts'

const MAX_PUSHES = 20_000
const MAX_BYTES = 32 * 1024 * 1024

export class OpenPushes {
  readonly #open = new Set<Push>()
  #bytes = 0

  get size(): number {
    return this.#open.size
  }

  get isFull(): boolean {
    return this.#open.size >= MAX_PUSHES || this.#bytes >= MAX_BYTES
  }

  /** Infinity where there is none. */
  get oldestSeq(): number {
    let oldest = Number.POSITIVE_INFINITY
    for (const { seq } of this.#open) oldest = Math.min(oldest, seq)
    return oldest
  }

  add(push: Push): void {
    this.#open.add(push)
    this.#bytes += sizeOf(push)
  }

  remove(push: Push): void {
    if (this.#open.delete(push)) this.#bytes -= sizeOf(push)
  }

  clear(): void {
    this.#open.clear()
    this.#bytes = 0
  }
}
