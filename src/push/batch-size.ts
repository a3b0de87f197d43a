/** How many pushes are tried together: half as many after no answer, more again, step by step, while they are accepted. */

export class BatchSize {
  readonly #most: number
  #limit: number

  constructor(most: number) {
    this.#most = most
    this.#limit = most
  }

  get limit(): number {
    return this.#limit
  }

  unanswered(pushes: number): void {
    this.#limit = Math.max(1, pushes >> 1)
  }

  /** By an eighth: what a slow receiver cannot take in time is found out again and again, and each time comes twice. */
  accepted(pushes: number): void {
    if (pushes >= this.#limit) this.#limit = Math.min(this.#most, this.#limit + Math.max(1, this.#limit >> 3))
  }

  reset(): void {
    this.#limit = this.#most
  }
}
