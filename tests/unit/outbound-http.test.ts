/** Requests to receivers that others name: where they may go, how long, how much. */
import { lookup } from 'node:dns'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createLookUps, type Resolve } from '../../src/infra/look-ups.ts'
import {
  createOutboundHttp,
  type OutboundHttp,
  type OutboundOptions,
  tryReceiver,
} from '../../src/infra/outbound-http.ts'
import { eventually } from '../support/eventually.ts'
import { HttpReceiver } from '../support/http-receiver.ts'

// A name that is a private address needs a name server of one's own: the resolver is a stub, the rest is real.
const names = new Map<string, string[]>()
const resolve: Resolve = (name, options, callback) => {
  const found = names.get(name)
  if (!found) return lookup(name, options, callback)
  callback(
    null,
    found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
  )
}

let receiver: HttpReceiver
const open: { close(): Promise<void> }[] = []

beforeEach(async () => {
  receiver = await new HttpReceiver().start()
})

afterEach(async () => {
  names.clear()
  for (const each of open.splice(0)) await each.close()
  await receiver.stop()
})

function outbound(options: Partial<OutboundOptions> = {}): OutboundHttp {
  const http = createOutboundHttp(
    { allowPrivate: true, timeoutMs: 5_000, maxResponseBytes: 1_024, ...options },
    resolve,
  )
  open.push(http)
  return http
}

/** A server that does with each connection what `serve` says. */
async function rawServer(serve: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    serve(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push({
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  })
  return `http://127.0.0.1:${(server.address() as { port: number }).port}/`
}

test('a POST arrives as it is, and its status comes back', async () => {
  receiver.answer = (_, res) => res.writeHead(202).end('thanks')
  const answer = await outbound().post(receiver.url, { 'content-type': 'application/json', 'x-one': '1' }, '{"ä":1}')
  expect(answer).toEqual({ status: 202, retryAfterSeconds: undefined })
  expect(receiver.received).toMatchObject([
    { method: 'POST', path: '/hooks', body: '{"ä":1}', headers: { 'content-length': '8', 'x-one': '1' } },
  ])
})

test.each([301, 302, 303, 307, 308])('a redirect (%i) is an answer, and not followed', async (status) => {
  const elsewhere = await new HttpReceiver().start()
  open.push({ close: () => elsewhere.stop() })
  receiver.answer = (_, res) => res.writeHead(status, { location: elsewhere.url }).end()
  expect((await outbound().post(receiver.url, {}, '{}')).status).toBe(status)
  expect(elsewhere.connections).toBe(0)
})

test('a proxy of the environment is not asked', async () => {
  const proxy = await new HttpReceiver().start()
  open.push({ close: () => proxy.stop() })
  for (const name of ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'ALL_PROXY'])
    vi.stubEnv(name, new URL(proxy.url).origin)
  await outbound()
    .post(receiver.url, {}, '{}')
    .finally(() => vi.unstubAllEnvs())
  expect(proxy.connections).toBe(0)
  expect(receiver.received).toHaveLength(1)
})

describe('Retry-After', () => {
  test.each([
    ['7', 7],
    ['0', 0],
    ['soon', undefined],
    ['-1', undefined],
    ['Fri, 01 Jan 2021 00:00:00 GMT', 0],
  ])('%s is %s', async (header, seconds) => {
    receiver.answer = (_, res) => res.writeHead(429, { 'retry-after': header }).end()
    expect(await outbound().post(receiver.url, {}, '')).toEqual({ status: 429, retryAfterSeconds: seconds })
  })

  test('as a date counts from now', async () => {
    const date = new Date(Date.now() + 60_000).toUTCString()
    receiver.answer = (_, res) => res.writeHead(503, { 'retry-after': date }).end()
    const { retryAfterSeconds } = await outbound().post(receiver.url, {}, '')
    expect(retryAfterSeconds).toBeGreaterThan(55)
    expect(retryAfterSeconds).toBeLessThanOrEqual(60)
  })
})

describe('within its time', () => {
  test('a receiver that never answers is given up', async () => {
    const url = await rawServer(() => {})
    await expect(outbound({ timeoutMs: 200 }).post(url, {}, '')).rejects.toThrow('no answer within 200 ms')
  })

  test('headers that trickle are given up', async () => {
    const url = await rawServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n')
      const timer = setInterval(() => socket.write('x-more: 1\r\n'), 20)
      socket.on('close', () => clearInterval(timer))
    })
    await expect(outbound({ timeoutMs: 200 }).post(url, {}, '')).rejects.toThrow('no answer within 200 ms')
  })

  test('headers without end are given up', async () => {
    const url = await rawServer((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nx-long: ${'x'.repeat(1024 * 1024)}`)
    })
    await expect(outbound().post(url, {}, '')).rejects.toThrow('no answer (UND_ERR_HEADERS_OVERFLOW)')
  })

  test('a body that trickles ends with the status that came', async () => {
    receiver.answer = (_, res) => {
      res.writeHead(200)
      const timer = setInterval(() => res.write('.'), 20)
      res.on('close', () => clearInterval(timer))
    }
    // Its head has to come within the time, on a busy machine too.
    expect((await outbound({ timeoutMs: 2_000 }).post(receiver.url, {}, '')).status).toBe(200)
  })

  test('who asked may give up sooner', async () => {
    const url = await rawServer(() => setImmediate(() => giveUp.abort()))
    const giveUp = new AbortController()
    await expect(outbound().post(url, {}, '', giveUp.signal)).rejects.toThrow('given up')
    await expect(outbound().post(url, {}, '', AbortSignal.abort())).rejects.toThrow('given up')
  })

  test('closing abandons what runs', async () => {
    const http = outbound()
    const url = await rawServer(() => setImmediate(() => http.close()))
    await expect(http.post(url, {}, '')).rejects.toThrow('given up')
  })
})

test('of a huge answer little is read', async () => {
  let written = 0
  const ended = new Promise<void>((resolve) => {
    receiver.answer = async (_, res) => {
      res.writeHead(200).on('close', resolve)
      const piece = Buffer.alloc(64 * 1024)
      const closed = once(res, 'close')
      while (!res.destroyed && written < 1024 * 1024 * 1024) {
        written += piece.length
        if (!res.write(piece)) await Promise.race([once(res, 'drain'), closed])
      }
    }
  })
  expect((await outbound().post(receiver.url, {}, '')).status).toBe(200)
  await ended
  expect(written).toBeLessThan(64 * 1024 * 1024)
})

test('a request is bounded too', async () => {
  await expect(outbound().post(receiver.url, {}, 'x'.repeat(4 * 1024 * 1024 + 1))).rejects.toThrow('too large')
  expect(receiver.connections).toBe(0)
})

describe('without an answer the message names neither address nor secret', () => {
  test('refused', async () => {
    await receiver.stop()
    const url = `${receiver.url}?key=topsecret`
    const error = await outbound()
      .post(url, { authorization: 'Bearer topsecret' }, 'x')
      .catch((e: Error) => e)
    expect(error).toMatchObject({ message: 'no answer (ECONNREFUSED)' })
    expect(error).not.toHaveProperty('cause')
  })

  test('no such name', async () => {
    await expect(outbound().post('http://nowhere.invalid/', {}, '')).rejects.toThrow(
      /^no answer \((ENOTFOUND|EAI_AGAIN)\)$/,
    )
  })

  test('closed in the middle', async () => {
    const url = await rawServer((socket) => socket.once('data', () => socket.destroy()))
    await expect(outbound().post(url, {}, '')).rejects.toThrow(/^no answer \(\w+\)$/)
  })

  test('not HTTP', async () => {
    const url = await rawServer((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'))
    await expect(outbound().post(url, {}, '')).rejects.toThrow(/^no answer \(\w+\)$/)
  })
})

describe('unless private addresses are allowed', () => {
  const refused = 'its address is not public, and allow_private is not set'

  test.each(['127.0.0.1', '2130706433', '0x7f000001', '127.1', '[::ffff:127.0.0.1]', 'localhost', '0', '[::1]'])(
    'nothing goes to %s',
    async (host) => {
      const url = receiver.url.replace('127.0.0.1', host)
      await expect(outbound({ allowPrivate: false }).post(url, {}, '')).rejects.toThrow(refused)
      await expect(tryReceiver(url, { allowPrivate: false, timeoutMs: 1_000 }, resolve)).rejects.toThrow(refused)
      expect(receiver.connections).toBe(0)
    },
  )

  test.each(['127.0.0.1', '::ffff:127.0.0.1', '10.1.2.3', '169.254.169.254', 'fd00::1'])(
    'nothing goes to a name that is %s',
    async (address) => {
      names.set('receiver.example.com', [address])
      const url = `http://receiver.example.com:${receiver.port}/`
      await expect(outbound({ allowPrivate: false }).post(url, {}, '')).rejects.toThrow(refused)
      await expect(tryReceiver(url, { allowPrivate: false, timeoutMs: 1_000 }, resolve)).rejects.toThrow(refused)
      expect(receiver.connections).toBe(0)
    },
  )

  test('of several addresses the private ones are not connected to', async () => {
    names.set('receiver.example.com', ['127.0.0.1', '203.0.113.1', '::1'])
    await expect(
      outbound({ allowPrivate: false, timeoutMs: 300 }).post(`http://receiver.example.com:${receiver.port}/`, {}, ''),
    ).rejects.toThrow(refused)
    expect(receiver.connections).toBe(0)
  })

  test('a name that was public a moment ago is looked at again', async () => {
    const http = outbound({ allowPrivate: false, timeoutMs: 300 })
    const url = `http://receiver.example.com:${receiver.port}/`
    // Nobody's, and not of a special purpose.
    names.set('receiver.example.com', ['192.0.1.1'])
    await expect(http.post(url, {}, '')).rejects.toThrow(/no answer/)
    names.set('receiver.example.com', ['127.0.0.1'])
    await expect(http.post(url, {}, '')).rejects.toThrow(refused)
    expect(receiver.connections).toBe(0)
  })
})

describe('with a name server that is slow', () => {
  /** Asked, and not answered yet. */
  let asked: { name: string; answer(...addresses: string[]): void }[]
  let lookUps: Resolve
  beforeEach(() => {
    asked = []
    lookUps = createLookUps((name, _, callback) => {
      const answer = (...addresses: string[]) =>
        callback(
          null,
          addresses.map((address) => ({ address, family: 4 })),
        )
      asked.push({ name, answer })
    })
  })
  const http = (options: Partial<OutboundOptions> = {}) => {
    const made = createOutboundHttp(
      { allowPrivate: true, timeoutMs: 5_000, maxResponseBytes: 1_024, ...options },
      lookUps,
    )
    open.push(made)
    return made
  }
  const post = (from: OutboundHttp, name: string) => from.post(`http://${name}:${receiver.port}/`, {}, '{}')

  test('a name is looked up once for all who wait for it, and again for who comes later', async () => {
    const [one, other] = [http(), http()]
    const posts = [post(one, 'a.example.com'), post(one, 'a.example.com'), post(other, 'a.example.com')]
    await eventually('it is asked', async () => asked.length > 0)
    await new Promise(setImmediate)
    expect(asked).toHaveLength(1)
    asked[0]?.answer('127.0.0.1')
    for (const { status } of await Promise.all(posts)) expect(status).toBe(204)
    const later = post(http(), 'a.example.com')
    await eventually('it is asked again', async () => asked.length === 2)
    asked[1]?.answer('127.0.0.1')
    await later
  })

  test('two names are looked up at a time, and one that is never answered holds back no other', async () => {
    const from = http()
    const posts = ['slow', 'a', 'b', 'c'].map((name) => post(from, `${name}.example.com`))
    const [slow, ...quick] = posts.map((each) => each.catch((error: Error) => error.message))
    for (const count of [2, 3, 4]) {
      await eventually(`${count} are asked`, async () => asked.length >= count)
      await new Promise(setImmediate)
      expect(asked).toHaveLength(count)
      asked[count - 1]?.answer('127.0.0.1')
    }
    expect(await Promise.all(quick)).toMatchObject([{ status: 204 }, { status: 204 }, { status: 204 }])
    expect(asked.map(({ name }) => name)).toEqual(['slow', 'a', 'b', 'c'].map((name) => `${name}.example.com`))
    asked[0]?.answer('127.0.0.1')
    expect(await slow).toMatchObject({ status: 204 })
  })

  test('each who shares a look-up judges its addresses', async () => {
    const [allowed, refused] = [http(), http({ allowPrivate: false })]
    const posts = [post(allowed, 'a.example.com'), post(refused, 'a.example.com')]
    const outcomes = Promise.allSettled(posts)
    await eventually('it is asked', async () => asked.length === 1)
    asked[0]?.answer('127.0.0.1')
    expect(await outcomes).toMatchObject([
      { status: 'fulfilled', value: { status: 204 } },
      { status: 'rejected', reason: { message: 'its address is not public, and allow_private is not set' } },
    ])
    expect(receiver.connections).toBe(1)
  })
})

describe('where private addresses are allowed', () => {
  test.each(['127.0.0.1', '127.1', 'localhost'])('%s is reached', async (host) => {
    const url = receiver.url.replace('127.0.0.1', host)
    expect((await outbound().post(url, {}, '{}')).status).toBe(204)
    await tryReceiver(url, { allowPrivate: true, timeoutMs: 1_000 }, resolve)
  })

  test('so is a name', async () => {
    names.set('receiver.example.com', ['127.0.0.1'])
    const url = `http://receiver.example.com:${receiver.port}/`
    expect((await outbound().post(url, {}, '{}')).status).toBe(204)
  })
})

test('trying a receiver sends nothing', async () => {
  await tryReceiver(receiver.url, { allowPrivate: true, timeoutMs: 1_000 }, resolve)
  await tryReceiver(receiver.url, { allowPrivate: true, timeoutMs: 1_000 }, resolve)
  expect(receiver.connections).toBe(2)
  expect(receiver.received).toEqual([])
  await receiver.stop()
  await expect(tryReceiver(receiver.url, { allowPrivate: true, timeoutMs: 1_000 }, resolve)).rejects.toThrow(
    'no answer (ECONNREFUSED)',
  )
})
