/** What was found to be wrong: counted, with the first examples of each. */

export const FAULTS = ['lost', 'doubled', 'out of order', 'delivered to a non-member', 'wrong in the timeline'] as const
export type Fault = (typeof FAULTS)[number]

/** What no promise speaks of and yet should not be: a refusal nobody can explain, a node that ends by itself. */
const UNEXPECTED = 'unexpected'

const EXAMPLES = 8

export class Findings {
  readonly #counts = new Map<string, number>()
  readonly #examples = new Map<string, string[]>()

  fault(fault: Fault, example: string, times = 1): void {
    this.#add(fault, example, times)
  }

  unexpected(example: string): void {
    this.#add(UNEXPECTED, example, 1)
  }

  get counts(): Record<Fault | typeof UNEXPECTED, number> {
    return Object.fromEntries([...FAULTS, UNEXPECTED].map((name) => [name, this.#counts.get(name) ?? 0])) as never
  }

  get total(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0)
  }

  get examples(): string[] {
    return [...this.#examples].flatMap(([name, texts]) => texts.map((text) => `${name}: ${text}`))
  }

  #add(name: string, example: string, times: number): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + times)
    const examples = this.#examples.get(name) ?? []
    if (examples.length < EXAMPLES) this.#examples.set(name, [...examples, example])
  }
}
