/** What new connections ask first is read a few at a time: thousands come at once when a node dies, and others must not wait. */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/** A turn of the event loop accepts one connection: while some come, it has little else to do, or their queue overflows. */
const TURNS_WHILE_ACCEPTING = 4
const A_TURN = 32

export function readByTurns(server: Server): void {
  let waiting: Socket[] = []
  let next = 0
  let hasAccepted = false
  let skipped = 0
  let isScheduled = false

  const schedule = () => {
    if (isScheduled) return
    isScheduled = true
    setImmediate(turn)
  }

  const turn = () => {
    isScheduled = false
    const most = !hasAccepted ? A_TURN : ++skipped % TURNS_WHILE_ACCEPTING === 0 ? 1 : 0
    hasAccepted = false
    for (let n = 0; n < most && next < waiting.length; n++) waiting[next++]?.resume()
    if (next === waiting.length) {
      waiting = []
      next = 0
    } else schedule()
  }

  Object.assign(server, { pauseOnConnect: true })
  server.on('connection', (socket) => {
    hasAccepted = true
    waiting.push(socket)
    schedule()
  })
}
