/**
 * What new connections ask first is read from a few at a time. When a node dies, thousands come to another one at once, and
 * Node would work off all that they ask in one turn of the event loop: a second and more, in which everybody else waits.
 */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/** Together they ask for what takes some milliseconds. */
const AT_ONCE = 64
/** Whoever has not asked after this long, or up to twice as long, keeps nobody waiting. */
const PATIENCE_MS = 50
/** A turn accepts one connection: while some come it begins few, or their queue in the kernel overflows. */
const TURNS_WHILE_ACCEPTING = 4

export function readFirstRequestsByTurns(server: Server): void {
  const turns = new FirstRequests()
  // As the option of that name of net.createServer(), which http.createServer() does not take.
  Object.assign(server, { pauseOnConnect: true })
  server.on('connection', (socket) => turns.add(socket))
  server.on('request', ({ socket }) => turns.asked(socket))
}

class FirstRequests {
  /** Connections that nothing is read from, in the order in which they came, and how many of them were begun. */
  #waiting: Socket[] = []
  #begun = 0
  /** Those that are read and have not asked yet, the ones of the last patience apart. */
  #reading = new Set<Socket>()
  #readingForLong = new Set<Socket>()
  #patience: NodeJS.Timeout | undefined
  #isScheduled = false
  #hasAccepted = false
  #turns = 0

  add(socket: Socket): void {
    this.#hasAccepted = true
    this.#waiting.push(socket)
    this.#schedule()
  }

  asked(socket: Socket): void {
    if (this.#reading.delete(socket) || this.#readingForLong.delete(socket)) this.#schedule()
  }

  get #free(): number {
    return AT_ONCE - this.#reading.size - this.#readingForLong.size
  }

  #schedule(): void {
    if (this.#isScheduled || this.#begun === this.#waiting.length || this.#free <= 0) return
    this.#isScheduled = true
    setImmediate(this.#turn)
  }

  readonly #turn = (): void => {
    this.#isScheduled = false
    const end = Math.min(this.#begun + this.#mostNow(), this.#waiting.length)
    while (this.#begun < end) this.#begin(this.#waiting[this.#begun++])
    if (this.#begun === this.#waiting.length) {
      this.#waiting = []
      this.#begun = 0
    }
    this.#schedule()
  }

  #mostNow(): number {
    if (!this.#hasAccepted) return this.#free
    this.#hasAccepted = false
    return ++this.#turns % TURNS_WHILE_ACCEPTING === 0 ? 1 : 0
  }

  #begin(socket: Socket | undefined): void {
    if (!socket || socket.destroyed) return
    this.#reading.add(socket)
    socket.resume()
    this.#patience ??= setTimeout(this.#losePatience, PATIENCE_MS).unref()
  }

  readonly #losePatience = (): void => {
    this.#readingForLong = this.#reading
    this.#reading = new Set()
    this.#patience = this.#readingForLong.size > 0 ? setTimeout(this.#losePatience, PATIENCE_MS).unref() : undefined
    this.#schedule()
  }
}
