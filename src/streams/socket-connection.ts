/** A connection as a socket of node:net: where Node's handles are not what src/streams/handle-connection.ts knows. */
import { Socket, type SocketConstructorOpts } from 'node:net'
import type { Connection } from './connection.ts'

export class SocketConnection implements Connection {
  owner: Connection['owner']
  isClosed = false
  readonly #socket: Socket

  constructor(handle: object) {
    const socket = new Socket({ handle } as SocketConstructorOpts)
    this.#socket = socket
    socket.on('end', () => socket.destroy())
    // `close` follows, which is enough to know.
    socket.on('error', () => {})
    socket.on('close', () => {
      this.isClosed = true
      this.owner?.connectionClosed()
    })
    socket.resume()
  }

  get unsent(): number {
    return this.#socket.writableLength
  }

  get isOver(): boolean {
    return this.#socket.destroyed || this.#socket.writableEnded
  }

  write(bytes: Buffer): void {
    if (!this.isOver) this.#socket.write(bytes)
  }

  async drained(): Promise<void> {
    const socket = this.#socket
    if (socket.destroyed || !socket.writableLength) return
    await new Promise<void>((resolve) => {
      socket.once('close', resolve)
      socket.write('', () => {
        socket.off('close', resolve)
        resolve()
      })
    })
  }

  end(): void {
    this.#socket.end()
  }

  destroy(): void {
    this.#socket.destroy()
  }
}
