/** A real HTTP server that takes what is posted to it, and answers as a test says. */
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Received = { method: string; path: string; headers: IncomingHttpHeaders; body: string; at: number }

/** Answers a request that was read; `undefined` is 204. */
export type Answering = (received: Received, res: Parameters<RequestListener>[1]) => unknown

export class HttpReceiver {
  readonly received: Received[] = []
  /** How many requests were open at once, at most. */
  mostAtOnce = 0
  connections = 0
  answer: Answering | undefined
  #open = 0
  #port = 0
  readonly #server = createServer(async (req, res) => {
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#open)
    res.on('close', () => this.#open--)
    const pieces: Buffer[] = []
    for await (const piece of req) pieces.push(piece)
    const received = {
      method: String(req.method),
      path: String(req.url),
      headers: req.headers,
      body: Buffer.concat(pieces).toString(),
      at: Date.now(),
    }
    this.received.push(received)
    if (this.answer) await this.answer(received, res)
    else res.writeHead(204).end()
  })

  constructor() {
    this.#server.on('connection', () => this.connections++)
  }

  /** On the port that it had before, where it had one. */
  async start(): Promise<this> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(this.#port, '127.0.0.1', resolve)
    })
    this.#port = (this.#server.address() as AddressInfo).port
    return this
  }

  /** As a restart would: whoever waits for an answer gets none. */
  closeConnections(): void {
    this.#server.closeAllConnections()
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/hooks`
  }

  get port(): number {
    return this.#port
  }
}
