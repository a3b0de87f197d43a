/**
 * What new connections ask first is read from a few at a time. When a node dies, thousands come to another one at once, and
 * Node would work off all that they ask in one turn of the event loop: a second and more, in which everybody else waits.
 */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/** Together they ask for what takes some milliseconds. */
const AT_ONCE = 64
/**
 * Whoever has not asked so long after connecting keeps nobody waiting, once it was read from for a turn: what it had sent
 * by then is here.
 */
const PATIENCE_MS = 50
/** A turn accepts one connection: while some come it begins few, or their queue in the kernel overflows. */
const TURNS_WHILE_ACCEPTING = 4

/** @returns a function that closes the connections which are read from and have sent nothing */
export function readFirstRequestsByTurns(server: Server): () => void {
  const turns = new FirstRequests()
  // As the option of that name of net.createServer(), which http.createServer() does not take.
  Object.assign(server, { pauseOnConnect: true })
  server.on('connection', (socket) => turns.add(socket))
  server.on('request', ({ socket }) => turns.asked(socket))
  return () => turns.closeSilent()
}

type Waiting = { socket: Socket; until: number }

class FirstRequests {
  /** Connections that nothing is read from, in the order in which they came, and how many of them were begun. */
  #waiting: Waiting[] = []
  #begun = 0
  /** Those that are read and have not asked yet, the first come first, and until when others wait for them. */
  readonly #reading = new Map<Socket, number>()
  /** All that were begun and have not asked. */
  readonly #silent = new Set<Socket>()
  #patience: NodeJS.Timeout | undefined
  #isScheduled = false
  #hasAccepted = false
  #turns = 0

  add(socket: Socket): void {
    this.#hasAccepted = true
    this.#waiting.push({ socket, until: performance.now() + PATIENCE_MS })
    this.#schedule()
  }

  asked(socket: Socket): void {
    this.#silent.delete(socket)
    if (this.#reading.delete(socket)) this.#schedule()
  }

  closeSilent(): void {
    for (const socket of this.#silent) if (socket.bytesRead === 0) socket.destroy()
  }

  #schedule(): void {
    if (this.#isScheduled || this.#begun === this.#waiting.length) return
    const [until = 0] = this.#reading.size < AT_ONCE ? [] : this.#reading.values()
    const patience = until - performance.now()
    if (patience > 0) {
      this.#patience ??= setTimeout(this.#losePatience, patience).unref()
      return
    }
    this.#isScheduled = true
    setImmediate(this.#turn)
  }

  readonly #losePatience = (): void => {
    this.#patience = undefined
    this.#schedule()
  }

  readonly #turn = (): void => {
    this.#isScheduled = false
    this.#forgetSilent()
    const end = Math.min(this.#begun + this.#mostNow(), this.#waiting.length)
    while (this.#begun < end) this.#begin(this.#waiting[this.#begun++])
    if (this.#begun === this.#waiting.length) {
      this.#waiting = []
      this.#begun = 0
    }
    this.#schedule()
  }

  /** All of them were begun in an earlier turn. */
  #forgetSilent(): void {
    const now = performance.now()
    for (const [socket, until] of this.#reading) {
      if (until > now) return
      this.#reading.delete(socket)
    }
  }

  #mostNow(): number {
    if (!this.#hasAccepted) return AT_ONCE - this.#reading.size
    this.#hasAccepted = false
    return ++this.#turns % TURNS_WHILE_ACCEPTING === 0 ? 1 : 0
  }

  #begin(waiting: Waiting | undefined): void {
    if (!waiting || waiting.socket.destroyed) return
    const { socket, until } = waiting
    this.#reading.set(socket, until)
    this.#silent.add(socket)
    socket.once('close', () => this.#silent.delete(socket))
    socket.resume()
  }
}
