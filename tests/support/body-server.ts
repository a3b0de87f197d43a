/** A real HTTP server around one body reader, and raw connections to it, for what no HTTP client would send. */

import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { AppError } from '../../src/shared/app-error.ts'

type RequestBody = NonNullable<NonNullable<Parameters<typeof fetch>[1]>['body']>

export type Answer = { status: number; body: unknown }

export class BodyServer {
  readonly #server

  constructor(read: (req: IncomingMessage) => Promise<unknown>) {
    this.#server = createServer(async (req, res) => {
      const answer = await read(req).then(
        (value): Answer => ({ status: 200, body: value === undefined ? 'undefined' : value }),
        (error: unknown): Answer =>
          error instanceof AppError
            ? { status: error.status, body: error.message }
            : { status: 500, body: String(error) },
      )
      const body = Buffer.from(JSON.stringify(answer.body))
      res.writeHead(answer.status, { 'content-type': 'application/json', 'content-length': body.length }).end(body)
    })
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return this
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  get #port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async post(headers: Record<string, string>, body?: RequestBody): Promise<Answer> {
    const response = await fetch(this.url, { method: 'POST', headers, ...(body === undefined ? {} : { body }) })
    return { status: response.status, body: await response.json() }
  }

  connect(): RawConnection {
    return new RawConnection(connect(this.#port, '127.0.0.1'))
  }
}

export class RawConnection {
  readonly #socket: Socket
  #received = ''

  constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk) => {
      this.#received += chunk.toString('latin1')
    })
    socket.on('error', () => {})
  }

  async send(...pieces: (string | Uint8Array)[]): Promise<void> {
    for (const piece of pieces) await new Promise<void>((resolve) => this.#socket.write(piece, () => resolve()))
  }

  /** The status of each of the first `count` answers; rejects after five seconds without them. */
  async statuses(count: number): Promise<number[]> {
    const deadline = Date.now() + 5000
    for (;;) {
      const found = [...this.#received.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => Number(match[1]))
      if (found.length >= count) return found
      if (Date.now() > deadline) throw new Error(`only ${found.length} answers: ${found.join(', ')}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  close(): void {
    this.#socket.destroy()
  }
}

/** One chunk of a chunked body (RFC 9112, section 7.1). */
export function chunk(data: string | Uint8Array): Buffer {
  const bytes = Buffer.from(data)
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])
}
