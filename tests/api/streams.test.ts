/** A stream as a connection: how it opens, is kept alive, is bounded, and ends. */

import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { EventStream } from '../support/event-stream.ts'
import { eventually } from '../support/eventually.ts'
import { appendSystemMessage } from '../support/hearing.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Person } from '../support/person.ts'
import { expectRefusal } from '../support/refusal.ts'
import { waitingForLocks } from '../support/waiting.ts'

const METRICS_TOKEN = 'metrics-token'

let ism: TestIsm
let alice: Person
let bob: Person

beforeAll(async () => {
  ism = await startIsm({ streams: { keepAliveSeconds: 0.05 }, metrics: { token: METRICS_TOKEN } })
})
afterAll(() => ism.stop())
beforeEach(async () => {
  const round = Math.random().toString(36).slice(2)
  ;[alice, bob] = await ism.people(`alice ${round}`, `bob ${round}`)
})
afterEach(() => {
  for (const person of [alice, bob]) person.closeStreams()
})

describe('a stream', () => {
  test('opens as an event stream that no cache and no proxy holds back', async () => {
    const stream = await alice.stream()
    expect(stream.status).toBe(200)
    expect(stream.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
    })
    expect(stream.headers['content-length']).toBeUndefined()
    expect(stream.headers['x-content-type-options']).toBe('nosniff')
    expect(stream.headers['vary']).toBe('Origin')
  })

  test('begins with the time to wait before a reconnect, and the cursor as a named event without data', async () => {
    const chunks: string[] = []
    const response = await fetch(`${ism.url}/api/sse`, { headers: { authorization: `Bearer ${alice.token}` } })
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    while (chunks.join('').split('\n\n').length < 3) chunks.push((await reader?.read())?.value ?? '')
    await reader?.cancel()
    const [retry, cursor] = chunks.join('').split('\n\n')
    expect(retry).toMatch(/^retry: [12]\d{3}$/)
    expect(cursor).toMatch(/^event: cursor\nid: [\w-]+\ndata: \{\}$/)
  })

  test('is kept alive by comments', async () => {
    const stream = await alice.stream()
    await stream.until(() => stream.comments >= 12, 'comments')
    expect(stream.events).toEqual([])
  })

  test('is refused without a token, and to another method', async () => {
    const anonymous = alice.at(ism.url)
    anonymous.token = 'nonsense'
    expectRefusal(await anonymous.get('/api/sse'), 'UNAUTHENTICATED', 'A valid bearer token is required.')
    const answer = await alice.post('/api/sse')
    expectRefusal(answer, 'METHOD_NOT_ALLOWED')
    expect(answer.headers.get('allow')).toBe('HEAD, GET')
  })

  test('answers HEAD with its head alone', async () => {
    const { hostname, port } = new URL(ism.url)
    const socket = connect(Number(port), hostname)
    socket.write(
      `HEAD /api/sse HTTP/1.1\r\nHost: ism\r\nConnection: close\r\nAuthorization: Bearer ${alice.token}\r\n\r\n`,
    )
    const answer = (await socket.setEncoding('utf8').toArray()).join('')
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(answer).toContain('\r\nContent-Type: text/event-stream')
    expect(answer.indexOf('\r\n\r\n')).toBe(answer.length - 4)
  })

  test('comes after what was asked before it on the same connection', async () => {
    const { hostname, port } = new URL(ism.url)
    const socket = connect(Number(port), hostname).setEncoding('utf8')
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: ism\r\nAuthorization: Bearer ${alice.token}\r\n\r\n`
    socket.write(get('/api/rooms') + get(`/api/users/${alice.id}`) + get('/api/sse'))
    let answers = ''
    while (!answers.includes('event: cursor')) answers += await once(socket, 'data')
    socket.destroy()
    expect(answers.match(/HTTP.* 200 OK|content-type: .*|retry:|event:/gi)).toEqual([
      'HTTP/1.1 200 OK',
      'Content-Type: application/json; charset=utf-8',
      'HTTP/1.1 200 OK',
      'Content-Type: application/json; charset=utf-8',
      'HTTP/1.1 200 OK',
      'Content-Type: text/event-stream; charset=utf-8',
      'retry:',
      'event:',
    ])
  })

  test('ends where its client closes only its own side', async () => {
    const { hostname, port } = new URL(ism.url)
    const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true })
    socket.write(`GET /api/sse HTTP/1.1\r\nHost: ism\r\nAuthorization: Bearer ${alice.token}\r\n\r\n`)
    await once(socket, 'data')
    const closed = once(socket, 'close')
    socket.resume().end()
    await closed
  })

  test('whose client goes away while it resumes harms nobody', async () => {
    const cursor = (await alice.get('/api/notifications/cursor')).body.lastEventId
    await appendSystemMessage(ism, [alice], 'x'.repeat(1_000_000))
    for (let n = 0; n < 10; n++) {
      const leaving = request(`${ism.url}/api/sse`, {
        headers: { authorization: `Bearer ${alice.token}`, 'last-event-id': cursor },
      })
      leaving.on('error', () => {}).end(() => setTimeout(() => leaving.destroy(), n))
    }
    const stream = await alice.stream(cursor)
    await stream.next(() => true)
    expect(stream.events).toHaveLength(1)
  })
})

test('streams go on, and end with their person, while requests hold every connection of the pool', async () => {
  const [stream, ending] = [await alice.stream(), await bob.stream()]
  const holder = await ism.sql.connect()
  await holder.query('begin; lock table chat_room in access exclusive mode')
  const waiting = Array.from({ length: ism.config.postgres.poolSize + 5 }, () => alice.get('/api/rooms'))
  try {
    const waiting = () => waitingForLocks(ism.sql, 'chat_room')
    await eventually('they hold all of it', async () => (await waiting()) === ism.config.postgres.poolSize)
    await appendSystemMessage(ism, [alice], 'all the same')
    await stream.until(() => stream.events.some(({ message }) => message === 'all the same'), 'it', 3_000)
    await ism.sql.query('update app_user set deleted_at = now() where id = $1', [bob.id])
    await ending.until(() => ending.ended, 'the end', 2_000)
  } finally {
    await holder.query('rollback')
    holder.release()
  }
  for (const { status } of await Promise.all(waiting)) expect([200, 503]).toContain(status)
})

test('each of a person’s streams gets every event once', async () => {
  const streams = await Promise.all([alice.stream(), alice.stream(), alice.stream()])
  const roomId = await alice.createRoom([bob])
  await bob.send(roomId, 'one')
  streams[1]?.close()
  await bob.send(roomId, 'two')
  for (const stream of [streams[0], streams[2]]) {
    await stream?.next(({ message }) => message?.msgBody.text === 'two')
    expect(stream?.events.map(({ type }) => type)).toEqual(['NewRoom', 'ChatMessage', 'ChatMessage'])
  }
})

test('the twenty-first stream closes the oldest, which may resume', async () => {
  const streams = [await alice.stream()]
  const [oldest] = streams
  // It counts from the moment that it is live.
  await appendSystemMessage(ism, [alice], 'live')
  await oldest?.next(({ message }) => message === 'live')
  while (streams.length < 20) streams.push(await alice.stream())
  const others = await bob.stream()
  expect(streams.some(({ ended }) => ended)).toBe(false)
  const newest = await alice.stream()
  await oldest?.until(() => oldest.ended, 'the oldest to be closed')
  // An EventSource that comes back at once would close the next, and so on for ever.
  expect(oldest?.retry).toBeGreaterThanOrEqual(45_000)
  expect(oldest?.retry).toBeLessThanOrEqual(75_000)
  await appendSystemMessage(ism, [alice, bob], 'still here')
  for (const stream of [...streams.slice(1), newest, others]) {
    await stream.next(({ message }) => message === 'still here')
    expect(stream.ended).toBe(false)
  }
  const resumed = await alice.stream(oldest?.lastEventId)
  await resumed.next(({ message }) => message === 'still here')
  expect(oldest?.events).toHaveLength(1)
})

describe('a reader that does not read', () => {
  const TEXT = 'x'.repeat(150_000)
  const numbers = (stream: EventStream) => stream.events.map(({ message }) => Number.parseInt(message, 10))
  const countUp = (count: number) => Array.from({ length: count }, (_, n) => n)
  const overflows = async () => {
    const response = await fetch(`${ism.url}/metrics`, { headers: { authorization: `Bearer ${METRICS_TOKEN}` } })
    return Number(/^ism_stream_overflows_total (\d+)$/m.exec(await response.text())?.[1])
  }

  test('is cut off, delays nobody else, and resumes where it was', async () => {
    const slow = await alice.stream()
    const quick = await bob.stream()
    slow.pause()
    // First the kernel's buffers fill, whose size is the machine's.
    let count = 0
    while ((await overflows()) === 0 && count < 1_000) {
      await appendSystemMessage(ism, [alice, bob], `${count++} ${TEXT}`)
      await quick.until(() => quick.events.length === count, 'the next event')
    }
    slow.resume()
    await slow.until(() => slow.ended, 'the slow stream to be cut off')
    expect(slow.events.length).toBeLessThan(count)
    expect(quick.ended).toBe(false)

    const resumed = await alice.stream(slow.lastEventId)
    await resumed.until(() => resumed.events.length + slow.events.length === count, 'the rest')
    expect([...numbers(slow), ...numbers(resumed)]).toEqual(countUp(count))
  })

  test('is waited for while it resumes', async () => {
    const cursor = (await alice.get('/api/notifications/cursor')).body.lastEventId
    for (let n = 0; n < 60; n++) await appendSystemMessage(ism, [alice], `${n} ${TEXT}`)
    const slow = await alice.stream(cursor)
    slow.pause()
    await appendSystemMessage(ism, [alice], '60 more')
    slow.resume()
    await slow.until(() => slow.events.length === 61, 'everything')
    expect(numbers(slow)).toEqual(countUp(61))
  })
})
