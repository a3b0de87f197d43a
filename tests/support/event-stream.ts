/** A client's view of its stream: reads server-sent events from a real connection and lets a test await them. */
import { type ClientRequest, type IncomingMessage, request } from 'node:http'

// biome-ignore lint/suspicious/noExplicitAny: events are judged by what a test expects of them
export type WireEvent = { type: string; seq: number; eventId: string; createdAt: string } & Record<string, any>

type Waiter = { test: () => boolean; resolve: () => void }

export class EventStream {
  /** Every `message` event so far, in order. */
  readonly events: WireEvent[] = []
  /** The `id:` of the last frame, as an EventSource would send it. */
  lastEventId: string | undefined
  /** Named events: their names. */
  readonly named: string[] = []
  /** Named events: their frames as they came. */
  readonly namedFrames: string[] = []
  comments = 0
  retry: number | undefined
  status = 0
  headers: IncomingMessage['headers'] = {}
  ended = false
  readonly #request: ClientRequest
  #response: IncomingMessage | undefined
  #buffer = ''
  #waiters: Waiter[] = []

  constructor(url: string, headers: Record<string, string>) {
    this.#request = request(url, { headers: { accept: 'text/event-stream', ...headers }, agent: false })
    this.#request.on('response', (response) => {
      this.#response = response
      this.status = response.statusCode ?? 0
      this.headers = response.headers
      response.setEncoding('utf8')
      response.on('data', (text: string) => this.#take(text))
      response.on('error', () => this.#end())
      response.on('close', () => this.#end())
      this.#notify()
    })
    this.#request.on('error', () => this.#end())
    this.#request.end()
  }

  /** Resolves when the server has said where the stream begins. */
  async opened(): Promise<this> {
    await this.until(() => this.lastEventId !== undefined || this.ended, 'the stream to open')
    if (this.ended) throw new Error(`the stream ended with status ${this.status}`)
    return this
  }

  /** The first event that matches, past or future. */
  async next(matches: (event: WireEvent) => boolean, what = 'an event'): Promise<WireEvent> {
    await this.until(() => this.events.some(matches), what)
    return this.events.find(matches) as WireEvent
  }

  ofType(type: string): WireEvent[] {
    return this.events.filter((event) => event.type === type)
  }

  async until(test: () => boolean, what: string, milliseconds = 20_000): Promise<void> {
    if (test()) return
    const { promise, resolve } = deferred()
    this.#waiters.push({ test, resolve })
    const timer = setTimeout(() => resolve('late'), milliseconds)
    const outcome = await promise
    clearTimeout(timer)
    if (outcome === 'late')
      throw new Error(
        `waited in vain for ${what}; got ${this.events.length}: ${JSON.stringify(this.events).slice(0, 2_000)}`,
      )
  }

  close(): void {
    this.#request.destroy()
  }

  /** Stops reading, as a client whose network is stuck. */
  pause(): void {
    this.#response?.pause()
  }

  resume(): void {
    this.#response?.resume()
  }

  #take(text: string): void {
    this.#buffer += text
    for (let end = this.#buffer.indexOf('\n\n'); end >= 0; end = this.#buffer.indexOf('\n\n')) {
      this.#frame(this.#buffer.slice(0, end))
      this.#buffer = this.#buffer.slice(end + 2)
    }
    this.#notify()
  }

  #frame(frame: string): void {
    let name = 'message'
    let data: string | undefined
    for (const line of frame.split('\n')) {
      if (line.startsWith(':')) this.comments++
      else if (line.startsWith('id: ')) this.lastEventId = line.slice(4)
      else if (line.startsWith('event: ')) name = line.slice(7)
      else if (line.startsWith('retry: ')) this.retry = Number(line.slice(7))
      else if (line.startsWith('data: ')) data = line.slice(6)
    }
    if (data === undefined) return
    if (name === 'message') this.events.push(JSON.parse(data))
    else {
      this.named.push(name)
      this.namedFrames.push(frame)
    }
  }

  #end(): void {
    this.ended = true
    this.#notify()
  }

  #notify(): void {
    const ready = this.#waiters.filter(({ test }) => test())
    this.#waiters = this.#waiters.filter((waiter) => !ready.includes(waiter))
    for (const { resolve } of ready) resolve()
  }
}

function deferred() {
  let resolve: (value?: 'late') => void = () => {}
  const promise = new Promise<'late' | undefined>((done) => {
    resolve = done as typeof resolve
  })
  return { promise, resolve }
}
