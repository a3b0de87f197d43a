/** One keep-alive connection that asks and waits, at a small part of a general client's cost: load must not be the bottleneck. */
import { connect, type Socket } from 'node:net'

export type Reply = { status: number; body: string }

const HEAD_END = '\r\n\r\n'

export class HttpConnection {
  readonly #socket: Socket
  #received = ''
  #pending: { resolve: (reply: Reply) => void; reject: (error: Error) => void } | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    // One byte, one character: lengths are counted in bytes.
    socket.setEncoding('latin1')
    socket.setNoDelay(true)
    socket.on('data', (text: string) => this.#take(text))
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('the connection was closed')))
  }

  static open(port: number): Promise<HttpConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port }, () => resolve(new HttpConnection(socket)))
      socket.once('error', reject)
    })
  }

  request(method: string, path: string, token: string, body = ''): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject }
      this.#socket.write(
        `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
      )
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(text: string): void {
    this.#received += text
    const headEnd = this.#received.indexOf(HEAD_END)
    if (headEnd < 0) return
    const head = this.#received.slice(0, headEnd)
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0)
    const end = headEnd + HEAD_END.length + length
    if (this.#received.length < end) return
    const body = this.#received.slice(headEnd + HEAD_END.length, end)
    this.#received = this.#received.slice(end)
    this.#pending?.resolve({ status: Number(head.slice(9, 12)), body })
    this.#pending = undefined
  }

  #fail(error: Error): void {
    this.#pending?.reject(error)
    this.#pending = undefined
  }
}
