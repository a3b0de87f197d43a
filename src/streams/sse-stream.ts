/** A stream as a server-sent events response, whose connection is taken from the HTTP server before anything is written. */
import type { OpenRequest } from '../http/context.ts'
import type { Response } from '../http/response.ts'
import { type Batch, batchOf } from './batch.ts'
import { type Connection, takeConnection } from './connection.ts'
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

class SseStream implements Stream, Writer {
  readonly userId: string
  readonly #connection: Connection
  readonly #request: OpenRequest
  #closeListeners: ((stream: Stream) => void)[] = []
  #batch: Batch | undefined
  /** When it was last looked at; 0 stays 0 until something is written. */
  #unread = 0
  /** Where in the queue it waits. */
  #waits: 'nowhere' | 'quick' | 'bulk' = 'nowhere'

  constructor(connection: Connection, head: Buffer, userId: string, request: OpenRequest) {
    this.#connection = connection
    this.#batch = batchOf(head)
    this.#request = request
    this.userId = userId
    connection.owner = this
  }

  get waiting(): number {
    return this.#batch?.bytes ?? 0
  }

  get unread(): number {
    // Only what was not taken at once needs another look at the connection.
    if (this.#unread > 0) this.#unread = this.#connection.unsent
    return this.#unread
  }

  get closed(): boolean {
    return this.#connection.isOver
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
    this.#connection.write(batch.joined())
    this.#unread = this.#connection.unsent
  }

  async drained(): Promise<void> {
    this.flush()
    const stalled = setTimeout(() => this.#connection.destroy(), STALLED_MS)
    await this.#connection.drained()
    clearTimeout(stalled)
  }

  end(): void {
    this.flush()
    this.#connection.end()
    // A reader that does not read must not hold the connection open.
    setTimeout(() => this.#connection.destroy(), ENDING_MS).unref()
  }

  destroy(): void {
    this.#batch = undefined
    this.#connection.destroy()
  }

  onClose(listener: (stream: Stream) => void): void {
    if (this.#connection.isClosed) listener(this)
    else this.#closeListeners = this.#closeListeners.concat(listener)
  }

  connectionClosed(): void {
    for (const listener of this.#closeListeners) listener(this)
    this.#request.finish()
  }
}
