/** Who asks and does not read the answer: it is kept for a while, and not for ever. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import Koa from 'koa'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { State } from '../../src/http/context.ts'
import { type HttpServer, listen } from '../../src/http/server.ts'

const STALLED_MS = 1_000
/** More than the network takes from one who does not read. */
const BODY = Buffer.alloc(32 * 1024 * 1024)

let server: HttpServer
let client: Socket
/** Resolves when the answer is no longer in memory. */
let over: Promise<void>

beforeEach(async () => {
  const koa = new Koa<State>()
  over = new Promise((resolve) => {
    koa.use((ctx) => {
      ctx.res.once('close', resolve)
      ctx.body = BODY
    })
  })
  server = await listen(koa, '127.0.0.1', 0, STALLED_MS)
  client = connect(server.address.port, '127.0.0.1')
  client.on('error', () => {})
  await once(client, 'connect')
  client.write('GET / HTTP/1.1\r\nHost: ism\r\nConnection: close\r\n\r\n')
})

afterEach(async () => {
  client.destroy()
  await server.close(0)
})

it('is cut off where they take nothing of it', async () => {
  await over
  client.resume()
  await once(client, 'close')
  expect(client.bytesRead).toBeLessThan(BODY.length)
})

it('comes whole where they take longer over it, but read', async () => {
  const began = performance.now()
  let received = 0
  for await (const chunk of client) {
    received += chunk.length
    await delay(4)
  }
  expect(received).toBeGreaterThan(BODY.length)
  expect(performance.now() - began).toBeGreaterThan(STALLED_MS)
})
