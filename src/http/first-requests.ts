/**
 * What new connections ask first, some of it in each turn of the event loop. When a node dies, thousands come to another one
 * at once, and Node would work off all that they ask in one turn: a second and more, in which everybody else waits.
 */
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Fifo } from '../shared/fifo.ts'

/** Connections that a turn begins to read from: a request that is here already costs some 20 µs to read. */
const READ_A_TURN = 64
/** A turn accepts one connection: while some come it begins few, or their queue in the kernel overflows. */
const TURNS_WHILE_ACCEPTING = 4
/** How long a turn works at what was read: of clients who connect and then are slow to ask, any number may ask in one turn. */
const SLICE_MS = 4

/** @returns a function that closes the connections which are read from and have sent nothing */
export function serveByTurns(server: Server, listener: RequestListener): () => void {
  const turns = new FirstRequests(listener)
  // As the option of that name of net.createServer(), which http.createServer() does not take.
  Object.assign(server, { pauseOnConnect: true })
  server.on('connection', (socket) => turns.accepted(socket))
  server.on('request', (request, response) => turns.asked(request, response))
  return () => turns.closeSilent()
}

class FirstRequests {
  readonly #listener: RequestListener
  /** Nothing is read from them. */
  readonly #unread = new Fifo<Socket>()
  readonly #asked = new Fifo<[IncomingMessage, ServerResponse]>()
  /** They are read from, and nothing that they ask was begun. */
  readonly #young = new Set<Socket>()
  #isScheduled = false
  #hasAccepted = false
  #turns = 0

  constructor(listener: RequestListener) {
    this.#listener = listener
  }

  accepted(socket: Socket): void {
    this.#hasAccepted = true
    this.#unread.add(socket)
    this.#schedule()
  }

  asked(request: IncomingMessage, response: ServerResponse): void {
    if (!this.#young.has(request.socket)) {
      this.#listener(request, response)
      return
    }
    this.#asked.add([request, response])
    this.#schedule()
  }

  closeSilent(): void {
    for (const socket of this.#young) if (socket.bytesRead === 0) socket.destroy()
  }

  #schedule(): void {
    if (this.#isScheduled || (this.#unread.isEmpty && this.#asked.isEmpty)) return
    this.#isScheduled = true
    setImmediate(this.#turn)
  }

  readonly #turn = (): void => {
    this.#isScheduled = false
    this.#serve()
    for (let most = this.#mostToRead(); most > 0 && !this.#unread.isEmpty; most--) this.#read(this.#unread.take())
    this.#schedule()
  }

  #serve(): void {
    const until = performance.now() + SLICE_MS
    while (!this.#asked.isEmpty) {
      const [request, response] = this.#asked.take()
      this.#young.delete(request.socket)
      if (!request.socket.destroyed) this.#listener(request, response)
      if (performance.now() >= until) return
    }
  }

  #mostToRead(): number {
    if (!this.#hasAccepted) return READ_A_TURN
    this.#hasAccepted = false
    return ++this.#turns % TURNS_WHILE_ACCEPTING === 0 ? 1 : 0
  }

  #read(socket: Socket): void {
    if (socket.destroyed) return
    this.#young.add(socket)
    socket.once('close', () => this.#young.delete(socket))
    socket.resume()
  }
}
