/** Where decompressed bytes go: grows as they come, and refuses more than its bound. */

export class BoundedOutput {
  #bytes: Buffer
  #length = 0
  readonly #maxBytes: number

  /** @param expected how many bytes there will probably be */
  constructor(maxBytes: number, expected: number) {
    this.#maxBytes = maxBytes
    this.#bytes = Buffer.allocUnsafe(Math.min(maxBytes, expected))
  }

  get length(): number {
    return this.#length
  }

  append(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  /** Appends `length` of the bytes that begin `distance` back; where that is less, they repeat. */
  repeat(distance: number, length: number): void {
    if (distance < 1 || distance > this.#length) throw new Error('it refers to what is not there')
    this.#reserve(length)
    const from = this.#length - distance
    // What was copied repeats what was there, so that each copy may be longer than the last.
    for (let copied = 0; copied < length; ) {
      const count = Math.min(distance + copied, length - copied)
      this.#bytes.copyWithin(this.#length, from, from + count)
      this.#length += count
      copied += count
    }
  }

  toBuffer(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  #reserve(more: number): void {
    const needed = this.#length + more
    if (needed > this.#maxBytes) throw new Error(`it becomes more than ${this.#maxBytes} bytes`)
    if (needed <= this.#bytes.length) return
    const grown = Buffer.allocUnsafe(Math.min(this.#maxBytes, Math.max(needed, this.#bytes.length * 2)))
    this.#bytes.copy(grown, 0, 0, this.#length)
    this.#bytes = grown
  }
}
