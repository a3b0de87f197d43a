/** What waits, first come, first served: nothing is moved, and nothing that was taken stays in memory for long. */
export class Fifo<Item> {
  #leaving: Item[] = []
  #taken = 0
  #arriving: Item[] = []

  get isEmpty(): boolean {
    return this.#taken === this.#leaving.length && this.#arriving.length === 0
  }

  add(item: Item): void {
    this.#arriving.push(item)
  }

  /** The oldest; it must not be empty. */
  take(): Item {
    if (this.#taken === this.#leaving.length) this.#turnOver()
    const item = this.#leaving[this.#taken++] as Item
    if (this.isEmpty) this.#turnOver()
    return item
  }

  #turnOver(): void {
    this.#leaving = this.#arriving
    this.#arriving = []
    this.#taken = 0
  }
}
