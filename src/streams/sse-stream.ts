/** A stream as a server-sent events response, whose connection is taken from the HTTP server before anything is written. */
import { Socket, type SocketConstructorOpts } from 'node:net'
import type { OpenRequest } from '../http/context.ts'
import type { Response } from '../http/response.ts'
import { type Batch, batchOf } from './batch.ts'
import type { Stream } from './stream.ts'
import { type Writer, writeQueue } from './write-queue.ts'

/** A reader that took nothing for so long while others wait for it to read is gone. */
const STALLED_MS = 60_000
/** So long the end of a response may take. */
const ENDING_MS = 1_000

/**
 * Resolves when the connection is free for this response: behind a request that was sent before its answer came
 * (pipelining), it is not yet.
 * @returns whether it is; otherwise the client is gone
 */
export async function ownsConnection(response: Response): Promise<boolean> {
  if (!response.socket && !response.closed)
    await new Promise((resolve) => response.once('socket', resolve).once('close', resolve))
  const { socket } = response
  if (socket?.writableLength) await new Promise((resolve) => socket.write('', resolve))
  return socket !== null && !socket.destroyed
}

/**
 * Opens the stream on `response`, which owns its connection; headers set so far (CORS and the like) are kept. The head
 * goes out together with what is written first.
 * @param finishLater is called once the connection is taken; what it returns is finished when the stream is closed
 */
export function openSseStream(response: Response, userId: string, finishLater: () => OpenRequest): Stream {
  // Without a length or chunks the body ends with the connection, and frames go to the socket as they are.
  const head = response.headOf({
    'Content-Type': 'text/event-stream; charset=utf-8',
    'Cache-Control': 'no-store, no-transform',
    'X-Accel-Buffering': 'no',
    Connection: 'close',
  })
  return new SseStream(takeConnection(response), head, userId, finishLater())
}

/**
 * Gives the connection to a socket of its own. The HTTP server sees the old one close and lets go of parser, request
 * and response, which is most of what a stream would cost; it no longer knows of the connection.
 */
function takeConnection(response: Response): Connection {
  const served = response.socket as (Socket & { _handle: unknown }) | null
  if (!served?._handle) throw new Error('the connection is gone')
  // With a listener of its own for data, the socket is no longer read by the parser.
  served.on('data', ignore)
  const handle = served._handle
  served._handle = null
  served.destroy()
  return new Connection({ handle } as SocketConstructorOpts)
}

/** A socket that tells its stream itself: three listeners, though streams share them, make its dictionary of them 400 bytes larger. */
class Connection extends Socket {
  stream: SseStream | undefined

  override emit(event: string | symbol, ...details: unknown[]): boolean {
    // The client has closed its side: it is gone. What it sends before that is no part of the protocol.
    if (event === 'end') this.destroy()
    if (event === 'close') this.stream?.announceClose()
    // `close` follows an error, which is enough to know.
    return event === 'end' || event === 'error' || super.emit(event, ...details)
  }
}

function ignore(): void {}

function destroy(this: Socket): void {
  this.destroy()
}

class SseStream implements Stream, Writer {
  readonly userId: string
  readonly #socket: Connection
  readonly #request: OpenRequest
  #closeListeners: ((stream: Stream) => void)[] = []
  #batch: Batch | undefined
  /** When it was last looked at; 0 stays 0 until something is written. */
  #unread = 0
  /** Where in the queue it waits. */
  #waits: 'nowhere' | 'quick' | 'bulk' = 'nowhere'

  constructor(socket: Connection, head: Buffer, userId: string, request: OpenRequest) {
    this.#socket = socket
    this.#batch = batchOf(head)
    this.#request = request
    this.userId = userId
    socket.stream = this
    socket.resume()
  }

  get waiting(): number {
    return this.#batch?.bytes ?? 0
  }

  get unread(): number {
    // Only what was not taken at once needs another look at the socket.
    if (this.#unread > 0) this.#unread = this.#socket.writableLength
    return this.#unread
  }

  get closed(): boolean {
    return this.#socket.destroyed || this.#socket.writableEnded
  }

  write(frame: Buffer, isBulk = false): void {
    this.#batch = this.#batch ? this.#batch.with(frame) : batchOf(frame)
    if (this.#waits === 'quick' || (isBulk && this.#waits === 'bulk')) return
    this.#waits = isBulk ? 'bulk' : 'quick'
    writeQueue.add(this, isBulk)
  }

  flush(): void {
    this.#waits = 'nowhere'
    const batch = this.#batch
    if (!batch) return
    this.#batch = undefined
    if (this.closed) return
    this.#socket.write(batch.joined())
    this.#unread = this.#socket.writableLength
  }

  async drained(): Promise<void> {
    this.flush()
    const socket = this.#socket
    if (this.closed || !socket.writableNeedDrain) return
    socket.setTimeout(STALLED_MS, destroy)
    await new Promise<void>((resolve) => {
      const done = () => {
        socket.off('drain', done)
        socket.off('close', done)
        resolve()
      }
      socket.once('drain', done)
      socket.once('close', done)
    })
    socket.setTimeout(0, destroy)
  }

  end(): void {
    this.flush()
    this.#socket.end()
    // A reader that does not read must not hold the connection open.
    setTimeout(() => this.#socket.destroy(), ENDING_MS).unref()
  }

  destroy(): void {
    this.#batch = undefined
    this.#socket.destroy()
  }

  onClose(listener: (stream: Stream) => void): void {
    if (this.#socket.closed) listener(this)
    else this.#closeListeners = this.#closeListeners.concat(listener)
  }

  announceClose(): void {
    for (const listener of this.#closeListeners) listener(this)
    this.#request.finish()
  }
}
