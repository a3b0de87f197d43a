/** Connections that come together are read by turns, and none keeps the others waiting. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { readFirstRequestsByTurns } from '../../src/http/first-requests.ts'

const REQUEST = 'GET / HTTP/1.1\r\nHost: ism\r\nConnection: close\r\n\r\n'

let server: Server
let sockets: Socket[]
/** Requests that were begun in one turn of the event loop, at most. */
let most: number

beforeEach(async () => {
  sockets = []
  most = 0
  let inTurn = 0
  server = createServer((_, response) => {
    if (inTurn++ === 0)
      setImmediate(() => {
        most = Math.max(most, inTurn)
        inTurn = 0
      })
    response.end('fine')
  })
  readFirstRequestsByTurns(server)
  await once(server.listen(0, '127.0.0.1'), 'listening')
})

afterEach(() => {
  vi.useRealTimers()
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

async function answerTo(socket: Socket): Promise<string> {
  socket.write(REQUEST)
  return (await socket.setEncoding('utf8').toArray()).join('')
}

it('answers all who come at once, some of them in each turn', async () => {
  // However slow the machine is, nobody is so late that the others are not kept waiting.
  vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] })
  const all = await openAccepted(500)
  for (const answer of await Promise.all(all.map(answerTo))) expect(answer).toMatch(/^HTTP\/1\.1 200/)
  expect(most).toBeLessThanOrEqual(64)
})

it('keeps nobody waiting for those who connect and ask nothing, or go away', async () => {
  const idle = open(400)
  await Promise.all(idle.map((socket) => once(socket, 'connect')))
  for (const socket of idle.slice(100)) socket.destroy()
  const [asking] = open(1)
  if (asking) expect(await answerTo(asking)).toMatch(/^HTTP\/1\.1 200/)
}, 3_000)

it('keeps nobody waiting for longer the more of them there are', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] })
  for (const socket of await openAccepted(1_000)) socket.write('GET / HT')
  vi.advanceTimersByTime(50)
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
