/** How the HTTP server ends: what is idle goes at once, what was begun is answered. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import Koa from 'koa'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { State } from '../../src/http/context.ts'
import { type HttpServer, listen } from '../../src/http/server.ts'

const LONG_MS = 60_000
const HEAD = 'GET / HTTP/1.1\r\nHost: ism\r\n'

let server: HttpServer
let clients: Socket[]

beforeEach(async () => {
  const koa = new Koa<State>().use((ctx) => {
    ctx.body = ctx.path
  })
  server = await listen(koa, '127.0.0.1', 0)
  clients = []
})

afterEach(async () => {
  for (const client of clients) client.destroy()
  await server.close(0)
})

async function connected(): Promise<Socket> {
  const client = connect(server.address.port, '127.0.0.1').setEncoding('utf8')
  clients.push(client)
  await once(client, 'connect')
  return client
}

it('closes connections that have asked nothing yet, or nothing more', async () => {
  await connected()
  const asked = await connected()
  asked.write(`${HEAD}\r\n`)
  await once(asked, 'data')
  await server.close(LONG_MS)
})

it('answers a request that is half sent, and closes', async () => {
  const client = await connected()
  client.write(`${HEAD}\r\n${HEAD}`)
  await once(client, 'data')
  const first = await connected()
  first.write(HEAD)
  const silent = await connected()
  const closed = server.close(LONG_MS)
  await silent.toArray()
  for (const each of [client, first]) {
    each.write('\r\n')
    const [head, body] = (await each.toArray()).join('').split('\r\n\r\n')
    expect(head?.split('\r\n')).toEqual(expect.arrayContaining(['HTTP/1.1 200 OK', 'Connection: close']))
    expect(body).toBe('/')
  }
  await closed
})
