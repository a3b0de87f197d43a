/** Who asks on without waiting for answers: some of it is begun, never all of it. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import Koa from 'koa'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { State } from '../../src/http/context.ts'
import { type HttpServer, listen } from '../../src/http/server.ts'

let server: HttpServer
let client: Socket
let begun: number
let answer: () => Promise<void>

beforeEach(async () => {
  begun = 0
  const koa = new Koa<State>().use(async (ctx) => {
    begun++
    await answer()
    ctx.body = ctx.path
  })
  server = await listen(koa, '127.0.0.1', 0)
  client = connect(server.address.port, '127.0.0.1')
  client.on('error', () => {})
  await once(client, 'connect')
})

afterEach(async () => {
  client.destroy()
  await server.close(0)
})

const get = (path: string) => `GET /${path} HTTP/1.1\r\nHost: ism\r\n\r\n`

it('is cut off where more and more waits for an answer', async () => {
  answer = () => new Promise(() => {})
  client.write(get('').repeat(20_000))
  client.resume()
  await new Promise<unknown>((resolve) => client.once('close', resolve))
  expect(begun).toBeLessThan(200)
})

it('gets the answers to what is bounded, in order, again and again', async () => {
  answer = async () => {}
  const paths = Array.from({ length: 80 }, (_, n) => `path-${n}`)
  for (let round = 0; round < 5; round++) {
    client.write(paths.map(get).join(''))
    let received = ''
    while (!received.includes(`/${paths.at(-1)}`)) received += String((await once(client, 'data'))[0])
    expect(received.match(/(?<=\/)path-\d+/g)).toEqual(paths)
  }
})
