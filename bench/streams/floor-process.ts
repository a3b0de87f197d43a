/** The least that Node needs for a stream: a socket of node:net and one frame for all, without HTTP, people or a log. */
import { createServer, type Socket } from 'node:net'

const HEAD =
  'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\nevent: cursor\ndata: {}\n\n'
const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
/** As ISM serves a large room: src/streams/write-queue.ts. */
const SLICE_MS = 1
const STEP = 16

const streams = new Set<Socket>()
const frame = Buffer.from(process.argv[2] ?? '')

function publish(): void {
  const waiting = [...streams]
  let served = 0
  const turn = () => {
    const until = performance.now() + SLICE_MS
    while (served < waiting.length && performance.now() < until)
      for (const end = Math.min(served + STEP, waiting.length); served < end; ) waiting[served++]?.write(frame)
    if (served < waiting.length) setImmediate(turn)
  }
  setImmediate(turn)
}

const server = createServer((socket) => {
  socket.on('error', () => {})
  socket.on('close', () => streams.delete(socket))
  socket.on('data', (request) => {
    const path = request.toString('latin1').split(' ', 2)[1]
    if (path === '/listen') {
      streams.add(socket)
      socket.write(HEAD)
      return
    }
    if (path === '/publish') publish()
    socket.write(ANSWER)
  })
})
server.listen({ host: '127.0.0.1', port: 0, backlog: 4_096 }, () => {
  const address = server.address()
  if (typeof address === 'object') process.send?.({ port: address?.port })
})
