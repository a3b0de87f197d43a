/** Calls that are made again, on another node each time, until they are answered. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Answer, Person } from '../support/person.ts'
import type { Random } from '../support/random.ts'
import { pickFrom, spread } from './chance.ts'
import type { Findings } from './findings.ts'

/** Some clients give up early, and their call happens all the same. */
const PATIENCE_MS = { least: 700, most: 20_000 }
const BACK_OFF_MS = { least: 10, most: 250 }
/** Longer than anything is frozen, down, and started again, one after the other. */
const GIVE_UP_MS = 180_000

/** `doubts`: attempts without an answer, or with 503, each of which may have done what it asked for. */
export type Insisted = { answer: Answer; doubts: number }

export class Client {
  readonly #urls: readonly string[]
  readonly #random: Random
  readonly #findings: Findings

  constructor(urls: readonly string[], random: Random, findings: Findings) {
    this.#urls = urls
    this.#random = random
    this.#findings = findings
  }

  anyUrl(): string {
    return pickFrom(this.#random, this.#urls) as string
  }

  /** @returns the first answer that is not 503 */
  async insist(person: Person, call: (device: Person) => Promise<Answer>): Promise<Insisted> {
    const deadline = performance.now() + GIVE_UP_MS
    for (let doubts = 0; performance.now() < deadline; doubts++) {
      const device = person.at(this.anyUrl())
      device.patienceMs = Math.ceil(spread(this.#random, PATIENCE_MS.least, PATIENCE_MS.most))
      const answer = await call(device).catch(() => undefined)
      if (answer && answer.status < 500) return { answer, doubts }
      if (answer && answer.status !== 503) this.#unexpected(answer)
      await delay(spread(this.#random, BACK_OFF_MS.least, BACK_OFF_MS.most))
    }
    throw new Error(`a call of ${person.name} was not answered within ${GIVE_UP_MS} ms`)
  }

  #unexpected({ status, body }: Answer): void {
    this.#findings.unexpected(`the answer ${status}: ${JSON.stringify(body)}`)
  }
}
