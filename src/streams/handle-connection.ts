/**
 * A connection by what node:net itself writes to and reads from, without its sockets: docs/decisions/0010. It is no public part
 * of Node, and the same in 20 to 26; another Node has src/streams/socket-connection.ts.
 */
import { constants } from 'node:os'
import type { Connection } from './connection.ts'

/** `TCP` of Node's tcp_wrap. */
type Handle = {
  /** Bytes that wait for the network. */
  readonly writeQueueSize: number
  /** Called without bytes where there come no more: the client has closed its side, or the connection failed. */
  onread: (this: Handle, bytes: ArrayBuffer | undefined) => void
  readStart(): number
  /** @returns 0, or an error; what the network takes at once needs no request any more */
  writeBuffer(request: WriteRequest, bytes: Buffer): number
  shutdown(request: object): number
  close(done: () => void): void
  [owner: symbol]: unknown
}

type WriteRequest = {
  oncomplete?: (this: WriteRequest, status: number) => void
  connection?: HandleConnection
  /** Kept in memory until it is written. */
  bytes?: Buffer
}

type Requests = { WriteWrap: new () => WriteRequest; ShutdownWrap: new () => { oncomplete?: () => void } }

const ALREADY_READING = -constants.errno.EALREADY

const requests = findRequests()
/** By this a handle knows its socket; in this place it knows its connection. */
let owned: symbol | undefined

function findRequests(): Requests | undefined {
  const { binding } = process as unknown as { binding?: (name: string) => Partial<Requests> }
  try {
    const { WriteWrap, ShutdownWrap } = binding?.('stream_wrap') ?? {}
    return WriteWrap && ShutdownWrap && { WriteWrap, ShutdownWrap }
  } catch {
    return undefined
  }
}

export class HandleConnection implements Connection {
  owner: Connection['owner']
  isClosed = false
  #handle: Handle | undefined
  #isEnding = false
  #whenDrained: (() => void) | undefined
  /** Of all connections: most are written at once, and so none is needed. */
  static #unused: WriteRequest | undefined

  static fits(handle: object): handle is Handle {
    const { writeBuffer, writeQueueSize, shutdown, readStart, close } = handle as Partial<Handle>
    owned ??= Object.getOwnPropertySymbols(handle).find(({ description }) => description === 'owner_symbol')
    return (
      requests !== undefined &&
      owned !== undefined &&
      typeof writeQueueSize === 'number' &&
      [writeBuffer, shutdown, readStart, close].every((method) => typeof method === 'function')
    )
  }

  constructor(handle: Handle) {
    this.#handle = handle
    if (owned) handle[owned] = this
    handle.onread = onRead
    const error = handle.readStart()
    if (error !== 0 && error !== ALREADY_READING) this.destroy()
  }

  get unsent(): number {
    return this.#handle?.writeQueueSize ?? 0
  }

  get isOver(): boolean {
    return this.#isEnding || !this.#handle
  }

  write(bytes: Buffer): void {
    if (!this.#handle || this.#isEnding || !requests) return
    const request = HandleConnection.#unused ?? new requests.WriteWrap()
    HandleConnection.#unused = undefined
    if (this.#handle.writeBuffer(request, bytes) !== 0) {
      this.destroy()
    } else if (this.#handle.writeQueueSize === 0) {
      HandleConnection.#unused = request
    } else {
      request.oncomplete = onWritten
      request.connection = this
      request.bytes = bytes
    }
  }

  async drained(): Promise<void> {
    if (this.unsent === 0) return
    await new Promise<void>((resolve) => {
      this.#whenDrained = resolve
    })
  }

  end(): void {
    if (this.isOver || !requests) return
    this.#isEnding = true
    const request = new requests.ShutdownWrap()
    request.oncomplete = () => {}
    if (this.#handle?.shutdown(request) !== 0) this.destroy()
  }

  destroy(): void {
    const handle = this.#handle
    if (!handle) return
    this.#handle = undefined
    handle.close(() => {
      this.isClosed = true
      this.#tellDrained()
      this.owner?.connectionClosed()
    })
  }

  written(status: number): void {
    if (status < 0) this.destroy()
    else if (this.unsent === 0) this.#tellDrained()
  }

  #tellDrained(): void {
    this.#whenDrained?.()
    this.#whenDrained = undefined
  }
}

function onRead(this: Handle, bytes: ArrayBuffer | undefined): void {
  const connection = owned && this[owned]
  if (!bytes && connection instanceof HandleConnection) connection.destroy()
}

function onWritten(this: WriteRequest, status: number): void {
  this.connection?.written(status)
}
