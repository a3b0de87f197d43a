/** One keep-alive connection that asks and waits, at a small part of a general client's cost: load must not be the bottleneck. */
import { connect, type Socket } from 'node:net'

export type Reply = { status: number; body: string }

/** @param body valid during the call only */
export type OnReply = (status: number, body: Buffer) => void

const HEAD_END = Buffer.from('\r\n\r\n')

/** One for all connections: what arrived is worked off before the next one is read. */
const buffer = Buffer.allocUnsafe(256 * 1024)

export class HttpConnection {
  readonly #socket: Socket
  /** The beginning of a reply of which more is to come, by pieces, and how many bytes are to come at least. */
  #received: Buffer[] = []
  #missing = 0
  #onReply: OnReply | undefined
  #onFailure: ((error: Error) => void) | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('the connection was closed')))
  }

  static open(port: number): Promise<HttpConnection> {
    return new Promise((resolve, reject) => {
      let connection: HttpConnection | undefined
      const callback = (length: number) => {
        if (connection) connection.#take(buffer.subarray(0, length))
        return true
      }
      const socket = connect({ host: '127.0.0.1', port, onread: { buffer, callback } }, () => {
        socket.off('error', reject)
        connection = new HttpConnection(socket)
        resolve(connection)
      })
      socket.once('error', reject)
    })
  }

  /** @param text a whole request, as `requestText` makes it; one at a time */
  exchange(text: string, onReply: OnReply, onFailure: (error: Error) => void): void {
    this.#onReply = onReply
    this.#onFailure = onFailure
    if (this.#socket.destroyed) this.#fail(new Error('the connection was closed'))
    else this.#socket.write(text)
  }

  request(method: string, path: string, token: string, body = ''): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const onReply: OnReply = (status, received) => resolve({ status, body: received.toString() })
      this.exchange(requestText(method, path, token, body), onReply, reject)
    })
  }

  close(): void {
    this.#onFailure = undefined
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#missing -= chunk.length
    if (this.#missing > 0) {
      this.#received.push(Buffer.from(chunk))
      return
    }
    const bytes = this.#received.length > 0 ? Buffer.concat([...this.#received, chunk]) : chunk
    const headEnd = bytes.indexOf(HEAD_END)
    const end = headEnd < 0 ? Number.POSITIVE_INFINITY : headEnd + HEAD_END.length + bodyLength(bytes, headEnd)
    if (bytes.length < end) {
      this.#received = [Buffer.from(bytes)]
      this.#missing = headEnd < 0 ? 0 : end - bytes.length
      return
    }
    this.#received = []
    this.#missing = 0
    const onReply = this.#onReply
    this.#onReply = undefined
    onReply?.(Number(bytes.toString('latin1', 9, 12)), bytes.subarray(headEnd + HEAD_END.length, end))
  }

  #fail(error: Error): void {
    this.#onFailure?.(error)
    this.#onFailure = undefined
  }
}

export function requestText(method: string, path: string, token: string, body = ''): string {
  return `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}

function bodyLength(bytes: Buffer, headEnd: number): number {
  const head = bytes.toString('latin1', 0, headEnd)
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
  if (length === undefined && !head.startsWith('HTTP/1.1 204')) throw new Error(`a reply without a length: ${head}`)
  return Number(length ?? 0)
}
