/** A page with an EventSource that a ticket opened, and that nobody helps: it reconnects and resumes by itself. */
import { setTimeout as delay } from 'node:timers/promises'
import { EventSource } from 'eventsource'
import type { WireEvent } from './event-stream.ts'
import type { Person } from './person.ts'

const PATIENCE_MS = 20_000
const BACK_OFF_MS = 100

export class Browser {
  readonly person: Person
  /** Of all connections, in the order in which they came. */
  readonly events: WireEvent[] = []
  /** From each broken connection to the next attempt, in milliseconds. */
  readonly waits: number[] = []
  /** Why it was given up for good, which a page has to notice by itself. */
  gaveUp: string | undefined
  connected = false
  readonly #source: EventSource
  #brokeAt: number | undefined
  #waiters: (() => void)[] = []

  private constructor(person: Person, ticket: string) {
    this.person = person
    this.#source = new EventSource(`${person.url}/api/sse?ticket=${ticket}`, {
      fetch: (url, init) => {
        if (this.#brokeAt !== undefined) this.waits.push(performance.now() - this.#brokeAt)
        return fetch(url, init)
      },
    })
    this.#source.addEventListener('cursor', () => this.#opened())
    this.#source.onmessage = ({ data }) => {
      this.events.push(JSON.parse(data))
      this.#wake()
    }
    this.#source.onerror = ({ code, message }) => {
      this.connected = false
      this.#brokeAt = performance.now()
      if (this.#source.readyState === EventSource.CLOSED) this.gaveUp = `${code} ${message}`
      this.#wake()
    }
  }

  /** As a page does that is loaded at any time: a ticket is asked for until there is one. */
  static async open(person: Person): Promise<Browser> {
    for (let attempt = 1; ; attempt++) {
      try {
        return new Browser(person, await person.ticket())
      } catch (error) {
        if (attempt === PATIENCE_MS / BACK_OFF_MS) throw error
        await delay(BACK_OFF_MS)
      }
    }
  }

  /** @throws Error also where the EventSource has given up */
  async until(what: string, test: () => boolean, milliseconds = PATIENCE_MS): Promise<void> {
    const late = AbortSignal.timeout(milliseconds)
    const isLate = new Promise<void>((resolve) => late.addEventListener('abort', () => resolve(), { once: true }))
    while (!test()) {
      if (late.aborted || this.gaveUp)
        throw new Error(
          `${this.person.name} waited in vain for ${what}: ${this.gaveUp ?? `${this.events.length} events`}`,
        )
      await Promise.race([isLate, new Promise<void>((resolve) => this.#waiters.push(resolve))])
    }
  }

  close(): void {
    this.#source.close()
  }

  #opened(): void {
    this.connected = true
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake()
  }
}
