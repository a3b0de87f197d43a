/** Clients that do not give up: a reader that resumes where its stream broke, a send that is tried until it is answered. */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { EventStream, type WireEvent } from './event-stream.ts'
import type { Answer, Person } from './person.ts'

/** A client waits before it tries again; a browser waits seconds. */
const BACK_OFF_MS = 30
const READ_PATIENCE_MS = 30_000
const SEND_PATIENCE_MS = 30_000
const LONG_MS = 600_000

/** One device of a person, over however many connections to however many nodes. */
export class Reader {
  readonly person: Person
  /** Of all connections, in the order in which they came. */
  readonly events: WireEvent[] = []
  /** That began and are over. */
  connections = 0
  #urls: readonly string[]
  #turn = 0
  #lastEventId: string | undefined
  #stream: EventStream | undefined
  #stopped = false
  #waiters: (() => void)[] = []
  readonly #done: Promise<void>

  /** @param urls the nodes that it connects to, in turn */
  constructor(person: Person, urls: readonly string[] = [person.url]) {
    this.person = person
    this.#urls = urls
    this.#done = this.#run()
  }

  static async open(person: Person, urls?: readonly string[]): Promise<Reader> {
    const reader = new Reader(person, urls)
    await reader.until('its first cursor', () => reader.#lastEventId !== undefined)
    return reader
  }

  /** Whether its connection has begun to speak. */
  get connected(): boolean {
    return this.#stream?.lastEventId !== undefined && !this.#stream.ended
  }

  /** Drops the connection and resumes elsewhere. */
  moveTo(...urls: string[]): void {
    this.#urls = urls
    this.#stream?.close()
  }

  async until(what: string, test: () => boolean, milliseconds = READ_PATIENCE_MS): Promise<void> {
    const deadline = performance.now() + milliseconds
    while (!test()) {
      const left = deadline - performance.now()
      if (left <= 0) throw new Error(`${this.person.name} waited in vain for ${what}: ${this.#situation()}`)
      const patience = new AbortController()
      const woken = new Promise<void>((resolve) => this.#waiters.push(resolve))
      await Promise.race([woken, delay(left, undefined, { signal: patience.signal }).catch(() => undefined)])
      patience.abort()
    }
  }

  async next(what: string, matches: (event: WireEvent) => boolean, milliseconds?: number): Promise<WireEvent> {
    await this.until(what, () => this.events.some(matches), milliseconds)
    return this.events.find(matches) as WireEvent
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#stream?.close()
    await this.#done
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const url = this.#urls[this.#turn++ % this.#urls.length] ?? this.person.url
      const stream = new EventStream(`${url}/api/sse`, {
        authorization: `Bearer ${this.person.token}`,
        ...(this.#lastEventId === undefined ? {} : { 'last-event-id': this.#lastEventId }),
      })
      this.#stream = stream
      await this.#follow(stream)
      if (!this.#stopped) await delay(BACK_OFF_MS)
    }
  }

  async #follow(stream: EventStream): Promise<void> {
    await follow(stream, (events) => {
      this.events.push(...events)
      this.#lastEventId = stream.lastEventId ?? this.#lastEventId
      for (const wake of this.#waiters.splice(0)) wake()
    })
    if (stream.lastEventId !== undefined) this.connections++
  }

  #situation(): string {
    return `${this.events.length} events over ${this.connections} connections, status ${this.#stream?.status}, last ${JSON.stringify(this.events.slice(-2))}`
  }
}

/**
 * Hands over what the stream brings, and takes it out of the stream, until it ends. Also called where the stream has
 * moved its cursor without an event.
 */
export async function follow(stream: EventStream, take: (events: WireEvent[]) => void): Promise<void> {
  let cursor: string | undefined
  do {
    await stream.until(() => stream.ended || stream.events.length > 0 || stream.lastEventId !== cursor, 'more', LONG_MS)
    cursor = stream.lastEventId
    take(stream.events.splice(0))
  } while (!stream.ended)
}

/** A message's answer, and what was answered before it: statuses, or why there was none. */
export type PersistentAnswer = { message: Answer['body']; refusals: (number | string)[] }

/**
 * Sends with a client message id until it is answered 200, at each attempt to the next of `urls`.
 * @throws Error at a refusal that trying again does not help
 */
export async function sendPersistently(
  person: Person,
  urls: readonly string[],
  roomId: string,
  text: string,
): Promise<PersistentAnswer> {
  const clientMessageId = randomUUID()
  const deadline = performance.now() + SEND_PATIENCE_MS
  const refusals: (number | string)[] = []
  for (let attempt = 0; performance.now() < deadline; attempt++) {
    const device = person.at(urls[attempt % urls.length] ?? person.url)
    const answer = await device.send(roomId, text, { clientMessageId }).catch((error: Error) => error)
    if (!(answer instanceof Error)) {
      if (answer.status === 200) return { message: answer.body, refusals }
      if (answer.status < 500) throw new Error(`a send was answered ${answer.status}: ${JSON.stringify(answer.body)}`)
    }
    refusals.push(answer instanceof Error ? String(answer.cause ?? answer) : answer.status)
    await delay(BACK_OFF_MS)
  }
  throw new Error(`a send was not answered: ${refusals.join(', ')}`)
}
