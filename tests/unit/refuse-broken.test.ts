/** What is no HTTP request is refused, and takes nothing from what was asked before it on the same connection. */
import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { refuseBroken } from '../../src/http/errors.ts'
import { eventually } from '../support/eventually.ts'

const GET = 'GET / HTTP/1.1\r\nHost: ism\r\n\r\n'
const GARBAGE = 'what is this?\r\n\r\n'

let server: Server
let client: Socket
let responses: ServerResponse[]

beforeEach(async () => {
  responses = []
  server = createServer((_, response) => responses.push(response)).on('clientError', refuseBroken)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  client = connect((server.address() as AddressInfo).port, '127.0.0.1').setEncoding('utf8')
})

afterEach(() => {
  client.destroy()
  server.closeAllConnections()
  server.close()
})

const broken = () => once(server, 'clientError')

/** Everything up to the end of the connection, without times: of each answer its status, and what follows its head. */
async function answers(): Promise<string[]> {
  const received = (await client.toArray()).join('')
  return received.split('HTTP/1.1 ').flatMap((answer) => {
    const [head = '', body = ''] = answer.split('\r\n\r\n')
    return head ? [`${head.slice(0, 3)} ${body.startsWith('{') ? JSON.parse(body).errorCode : body}`] : []
  })
}

async function sent(text: string): Promise<void> {
  const refused = broken()
  client.write(text)
  await refused
}

it('comes after the answers to the requests before it', async () => {
  await sent(GET + GET + GARBAGE)
  await sent(GARBAGE)
  for (const [n, response] of responses.entries()) response.end(`answer ${n + 1}`)
  expect(await answers()).toEqual(['200 answer 1', '200 answer 2', '400 VALIDATION_ERROR'])
})

it('does not get into an answer that has begun', async () => {
  client.write(GET)
  await once(server, 'request')
  responses[0]?.writeHead(200, { 'Content-Length': 10 }).write('first')
  await once(client, 'readable')
  await sent(GARBAGE)
  responses[0]?.end('later')
  expect(await answers()).toEqual(['200 firstlater', '400 VALIDATION_ERROR'])
})

it('is nothing where the request before it closes the connection', async () => {
  await sent(`GET / HTTP/1.1\r\nHost: ism\r\nConnection: close\r\n\r\n${GARBAGE}`)
  responses[0]?.end('answer')
  expect(await answers()).toEqual(['200 answer'])
})

it('does not cut off an answer that is still being sent', async () => {
  client.write('GET / HTTP/1.1\r\nHost: ism\r\nConnection: close\r\n\r\n')
  await once(server, 'request')
  const body = 'x'.repeat(20_000_000)
  responses[0]?.end(body)
  await sent(GARBAGE)
  expect((await answers()).map(({ length }) => length)).toEqual([body.length + 4])
})

it('is the answer to a request whose own body breaks', async () => {
  await sent('POST / HTTP/1.1\r\nHost: ism\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n')
  expect(await answers()).toEqual(['400 VALIDATION_ERROR'])
})

it('is the end of the connection, though its client leaves its own side open', async () => {
  const open = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true })
  const refused = broken()
  open.resume().write(GARBAGE)
  const [[, accepted]] = await Promise.all([refused, once(open, 'end')])
  expect(open.writable).toBe(true)
  await eventually('the server lets go of it', async () => accepted.destroyed, 3_000)
  open.destroy()
})
