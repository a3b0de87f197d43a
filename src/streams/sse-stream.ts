/** A stream as a server-sent events response; the head goes out once, after that only the socket is used. */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Stream } from './stream.ts'

/** Opens the stream on `response`, whose headers set so far (CORS and the like) are kept. */
export function openSseStream(response: ServerResponse, userId: string): Stream {
  // Without chunks the body ends with the connection, and frames go to the socket as they are.
  response.useChunkedEncodingByDefault = false
  response.writeHead(200, {
    'Content-Type': 'text/event-stream; charset=utf-8',
    'Cache-Control': 'no-store, no-transform',
    'X-Accel-Buffering': 'no',
    Connection: 'close',
  })
  response.flushHeaders()
  const socket = response.socket
  if (!socket) throw new Error('the connection is gone')
  socket.setNoDelay(true)
  socket.setTimeout(0)
  return new SseStream(response, socket, userId)
}

/** What one write takes at most. */
const WRITE_BYTES = 64 * 1024

class SseStream implements Stream {
  readonly userId: string
  readonly #response: ServerResponse
  readonly #socket: Socket
  #pending: Buffer[] = []
  #pendingBytes = 0
  #scheduled = false

  constructor(response: ServerResponse, socket: Socket, userId: string) {
    this.#response = response
    this.#socket = socket
    this.userId = userId
  }

  get buffered(): number {
    return this.#pendingBytes + this.#socket.writableLength
  }

  get closed(): boolean {
    return this.#socket.destroyed || this.#response.writableEnded
  }

  write(frame: Buffer): void {
    this.#pending.push(frame)
    this.#pendingBytes += frame.length
    // A burst is not the reader's fault: what the network takes at once does not count as unread.
    if (this.#pendingBytes > WRITE_BYTES) this.#flush()
    else this.#flushLater()
  }

  #flushLater(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#flush()
    })
  }

  async drained(): Promise<void> {
    this.#flush()
    if (this.closed || this.#socket.writableLength === 0) return
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#socket.off('drain', done)
        this.#socket.off('close', done)
        resolve()
      }
      this.#socket.once('drain', done)
      this.#socket.once('close', done)
      if (!this.#socket.writableNeedDrain) done()
    })
  }

  end(): void {
    this.#flush()
    this.#response.end()
    // A reader that does not read must not hold the connection open.
    this.#socket.setTimeout(1_000, () => this.#socket.destroy())
  }

  destroy(): void {
    this.#pending = []
    this.#pendingBytes = 0
    this.#socket.destroy()
  }

  onClose(listener: () => void): void {
    if (this.#socket.destroyed) listener()
    else this.#socket.once('close', listener)
  }

  #flush(): void {
    const frames = this.#pending
    if (frames.length === 0) return
    this.#pending = []
    this.#pendingBytes = 0
    if (this.closed) return
    this.#socket.write(frames.length === 1 && frames[0] ? frames[0] : Buffer.concat(frames))
  }
}
