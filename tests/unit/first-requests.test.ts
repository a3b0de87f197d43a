/** What connections ask that come together is begun by turns, and none keeps the others waiting. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { serveByTurns } from '../../src/http/first-requests.ts'
import { eventually } from '../support/eventually.ts'

const REQUEST = 'GET / HTTP/1.1\r\nHost: ism\r\nConnection: close\r\n\r\n'

let server: Server
let sockets: Socket[]
/** Of each request, with busy work in between. */
let costMs: number
/** Requests that were begun in one turn of the event loop, at most. */
let most: number

beforeEach(async () => {
  sockets = []
  costMs = 0
  most = 0
  let inTurn = 0
  server = createServer()
  serveByTurns(server, (_, response) => {
    if (inTurn++ === 0)
      setImmediate(() => {
        most = Math.max(most, inTurn)
        inTurn = 0
      })
    for (const until = performance.now() + costMs; performance.now() < until; );
    response.end('fine')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
})

afterEach(() => {
  for (const socket of sockets) socket.destroy()
  server.close()
})

function open(count: number): Socket[] {
  const { port } = server.address() as AddressInfo
  const opened = Array.from({ length: count }, () => connect(port, '127.0.0.1'))
  sockets.push(...opened)
  return opened
}

async function openAccepted(count: number): Promise<Socket[]> {
  let accepted = 0
  const allAccepted = new Promise<void>((resolve) => server.on('connection', () => ++accepted === count && resolve()))
  const opened = open(count)
  await allAccepted
  return opened
}

async function answerTo(socket: Socket, request = REQUEST): Promise<string> {
  socket.write(request)
  return (await socket.setEncoding('utf8').toArray()).join('')
}

it('answers all who come at once, some of them in each turn', async () => {
  costMs = 1
  const all = await openAccepted(500)
  for (const answer of await Promise.all(all.map((socket) => answerTo(socket))))
    expect(answer).toMatch(/^HTTP\/1\.1 200/)
  expect(most).toBeLessThanOrEqual(10)
})

it('answers some in each turn, too, who came before and ask at once', async () => {
  const read: Promise<unknown>[] = []
  server.on('connection', (socket) => read.push(eventually('the half', async () => socket.bytesRead > 0)))
  const all = await openAccepted(200)
  for (const socket of all) socket.write(REQUEST.slice(0, 10))
  await Promise.all(read)
  costMs = 1
  const answers = await Promise.all(all.map((socket) => answerTo(socket, REQUEST.slice(10))))
  for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.1 200/)
  expect(most).toBeLessThanOrEqual(10)
})

it('keeps nobody waiting for those who connect and ask nothing, or go away', async () => {
  const idle = await openAccepted(1_000)
  for (const socket of idle.slice(0, 400)) socket.destroy()
  for (const socket of idle.slice(700)) socket.write('GET / HT')
  const [asking] = open(1)
  if (asking) expect(await answerTo(asking)).toMatch(/^HTTP\/1\.1 200/)
})

it('reads a connection’s further requests as they come', async () => {
  const [socket] = open(1)
  const received = socket?.setEncoding('utf8')
  for (let n = 0; n < 3; n++) {
    socket?.write('GET / HTTP/1.1\r\nHost: ism\r\n\r\n')
    expect(String(await once(received as Socket, 'data'))).toMatch(/^HTTP\/1\.1 200/)
  }
})
