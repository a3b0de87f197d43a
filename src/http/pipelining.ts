/** What a connection may ask before it is answered (pipelining): each request is in memory until it is. */
import type { RequestListener } from 'node:http'
import type { Socket } from 'node:net'

/** Requests behind the one whose answer is due. Browsers and proxies send none. */
const MAX_BEHIND = 100

/** Closes a connection that asks on and on: Node would begin all of it, as long as nothing is answered. */
export function limitPipelining(listener: RequestListener): RequestListener {
  const behind = new WeakMap<Socket, number>()

  function count(socket: Socket, change: number): number {
    const counted = (behind.get(socket) ?? 0) + change
    behind.set(socket, counted)
    return counted
  }

  return (request, response) => {
    const { socket } = request
    // It has the connection where no answer is due before its own.
    if (response.socket) return listener(request, response)
    response.once('socket', () => count(socket, -1))
    if (count(socket, 1) > MAX_BEHIND) socket.destroy()
    else listener(request, response)
  }
}
