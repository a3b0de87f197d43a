/** Tickets and tokens in the URL of a stream: what each opens, how often, and that neither is written anywhere. */
import { randomBytes } from 'node:crypto'
import { Writable } from 'node:stream'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { App } from '../../src/app.ts'
import { createLogger } from '../../src/observability/logger.ts'
import type { EventStream } from '../support/event-stream.ts'
import { eventually } from '../support/eventually.ts'
import { appendSystemMessage } from '../support/hearing.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { nowSeconds, sign } from '../support/issuer-server.ts'
import type { Answer, Person } from '../support/person.ts'
import { expectRefusal, expectUnauthenticated } from '../support/refusal.ts'
import { waitingForLocks } from '../support/waiting.ts'

const ORIGIN = 'https://app.example'
const METRICS_TOKEN = 'metrics-token'
const LEEWAY = 5
/** As promised. */
const ENDED_MS = 1_000

let ism: TestIsm
/** Another node, which takes tokens from the query. */
let lenient: App
let alice: Person
let bob: Person
let log = ''
beforeAll(async () => {
  const destination = new Writable({
    write(chunk, _, done) {
      log += chunk
      done()
    },
  })
  ism = await startIsm(
    {
      server: { corsOrigins: [ORIGIN] },
      tokenIssuer: { leewaySeconds: LEEWAY },
      metrics: { token: METRICS_TOKEN },
    },
    createLogger('trace', destination),
  )
  lenient = await ism.anotherNode({ tokenIssuer: { allowQueryToken: true } })
})
afterAll(async () => {
  await lenient.close()
  await ism.stop()
})
beforeEach(async () => {
  const round = Math.random().toString(36).slice(2)
  ;[alice, bob] = await ism.people(`alice ${round}`, `bob ${round}`)
})
afterEach(() => {
  vi.useRealTimers()
  for (const person of [alice, bob]) person.closeStreams()
})

const there = (person: Person) => person.at(`http://127.0.0.1:${lenient.address.port}`)

/** A call with nothing but its URL and these headers. */
async function call(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  const response = await fetch(path.startsWith('/') ? `${ism.url}${path}` : path, { method, headers })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: text && JSON.parse(text) }
}

const refusalOf = (ticket: string, headers: Record<string, string> = {}) => call(`/api/sse?ticket=${ticket}`, headers)

/** As if this much time had passed since the ticket was given. */
const age = (seconds: number) =>
  ism.sql.query('update stream_ticket set open_until = open_until - make_interval(secs => $1)', [seconds])

/** ISM has noticed that no stream of this person's tickets is open any more. */
const released = (person: Person) =>
  eventually('the ticket is released', async () => {
    const { rowCount } = await ism.sql.query('select from stream_ticket where is_open and user_id = $1', [person.id])
    return rowCount === 0
  })

async function expectHears(stream: EventStream, text: string): Promise<void> {
  expect(stream.status).toBe(200)
  await appendSystemMessage(ism, [alice, bob], text)
  await stream.next(({ message }) => message === text)
}

describe('a ticket', () => {
  test('is given to whoever has a token, with the moment until which it has to be used, and is never cached', async () => {
    const before = Date.now()
    const { status, headers, body } = await alice.post('/api/sse/ticket')
    expect(status).toBe(200)
    expect(body).toEqual({ ticket: expect.stringMatching(/^[\w-]{43}$/), expiresAt: expect.any(String) })
    expect(body.expiresAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    // By the database's clock, which is this machine's.
    expect(Date.parse(body.expiresAt) - before).toBeGreaterThan(29_000)
    expect(Date.parse(body.expiresAt) - Date.now()).toBeLessThan(31_000)
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    expect((await alice.post('/api/sse/ticket')).body.ticket).not.toBe(body.ticket)
    expectUnauthenticated(await call('/api/sse/ticket', {}, 'POST'))
    const ticket = await refusalOf(body.ticket, { authorization: 'Bearer x' })
    expectRefusal(ticket, 'VALIDATION_ERROR', /^Use one of Authorization, ticket and access_token/)
  })

  test('is not kept in the database, but for its SHA-256', async () => {
    const ticket = await alice.ticket()
    const { rows } = await ism.sql.query(
      `select (select count(*)::int from stream_ticket where hash = sha256(convert_to($1, 'UTF8'))) as hashed,
        (select count(*)::int from stream_ticket t where t::text like '%' || $1 || '%') as plain`,
      [ticket],
    )
    expect(rows).toEqual([{ hashed: 1, plain: 0 }])
  })

  test("opens one stream, on any node, with its person's events", async () => {
    for (const device of [alice, there(alice)]) {
      const ticket = await alice.ticket()
      const stream = await device.source(`?ticket=${ticket}`)
      await expectHears(stream, `hello ${device.url}`)
      expectUnauthenticated(await refusalOf(ticket))
      expect((await there(alice).source(`?ticket=${ticket}`)).status).toBe(401)
      expect(stream.ended).toBe(false)
    }
  })

  test('opens one stream of two that come at once', async () => {
    for (let turn = 0; turn < 10; turn++) {
      const ticket = await alice.ticket()
      const streams = await Promise.all([alice, there(alice)].map((device) => device.source(`?ticket=${ticket}`)))
      expect(streams.map(({ status }) => status).sort()).toEqual([200, 401])
    }
  })

  test('is told by a full node to come back, as no EventSource does after a 503, and opens a stream elsewhere', async () => {
    const full = await ism.anotherNode({ streams: { maxPerNode: 0 } })
    const ticket = await alice.ticket()
    const there = alice.at(`http://127.0.0.1:${full.address.port}`)
    const response = await fetch(`${there.url}/api/sse?ticket=${ticket}`)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/)
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(await response.text()).toMatch(/^retry: [2-5]\d{3}\n\n$/)
    expectRefusal(await there.get('/api/sse'), 'SERVICE_UNAVAILABLE')
    expect((await there.source('?ticket=unknown')).status).toBe(401)
    await full.close()
    await expectHears(await alice.source(`?ticket=${ticket}`), 'on the other node')
  })

  test('begins where the query says', async () => {
    const cursor = (await alice.get('/api/notifications/cursor')).body.lastEventId
    await appendSystemMessage(ism, [alice], 'meanwhile')
    const stream = await alice.source(`?ticket=${await alice.ticket()}&lastEventId=${cursor}`)
    await stream.next(({ message }) => message === 'meanwhile')
  })

  test('opens nothing after 30 seconds, whether with Last-Event-ID or without', async () => {
    const [early, late, resuming] = await Promise.all([alice.ticket(), alice.ticket(), alice.ticket()])
    const { lastEventId = '' } = await alice.stream()
    await age(20)
    await expectHears(await alice.source(`?ticket=${early}`), 'in time')
    await age(11)
    expectUnauthenticated(await refusalOf(late))
    expectUnauthenticated(await refusalOf(resuming, { 'last-event-id': lastEventId }))
  })

  test('opens nothing that is unknown', async () => {
    for (const ticket of ['', 'x', randomBytes(32).toString('base64url'), '%00'.repeat(43), 'x'.repeat(20_000)])
      expectUnauthenticated(await refusalOf(ticket))
    expectRefusal(await call('/api/sse?ticket=x&ticket=y'), 'VALIDATION_ERROR')
  })

  test('is no token', async () => {
    const ticket = await alice.ticket()
    expectUnauthenticated(await call('/api/sse', { authorization: `Bearer ${ticket}` }))
    expectUnauthenticated(await call(`/api/rooms?ticket=${ticket}`))
    expectUnauthenticated(await call(`/api/notifications?ticket=${ticket}&timestamp=2020-01-01T00:00:00Z`))
  })

  test('is not used up by HEAD', async () => {
    const ticket = await alice.ticket()
    expect((await call(`/api/sse?ticket=${ticket}`, {}, 'HEAD')).status).toBe(401)
    await expectHears(await alice.source(`?ticket=${ticket}`), 'first')
  })
})

test('however many come at once with tickets, a request finds a connection', async () => {
  const tickets = await Promise.all(Array.from({ length: 12 }, () => alice.ticket()))
  const holder = await ism.sql.connect()
  await holder.query('begin; lock table stream_ticket in access exclusive mode')
  const opening = tickets.map((ticket) => alice.source(`?ticket=${ticket}`))
  try {
    const waiting = () => waitingForLocks(ism.sql, 'stream_ticket')
    await eventually('they wait for the table, together', async () => (await waiting()) === 1)
    const asked = performance.now()
    expect((await bob.get('/api/users/search?username=nobody')).status).toBe(200)
    expect(performance.now() - asked).toBeLessThan(2_000)
  } finally {
    await holder.query('rollback')
    holder.release()
  }
  expect((await Promise.all(opening)).map(({ status }) => status)).toEqual(tickets.map(() => 200))
  for (const stream of await Promise.all(opening)) stream.close()
  await released(alice)
})

describe('the stream of a ticket', () => {
  test('is resumed with Last-Event-ID, long after, without loss, on any node', async () => {
    const ticket = await alice.ticket()
    const stream = await alice.source(`?ticket=${ticket}`)
    await expectHears(stream, 'one')
    await age(3_600)
    stream.close()
    await appendSystemMessage(ism, [alice], 'two')
    const resumed = await there(alice).source(`?ticket=${ticket}`, stream.lastEventId)
    await resumed.next(({ message }) => message === 'two')
    resumed.close()
    await appendSystemMessage(ism, [alice], 'three')
    const again = await alice.source(`?ticket=${ticket}`, resumed.lastEventId)
    await again.next(({ message }) => message === 'three')
    expect([...stream.events, ...resumed.events, ...again.events].map(({ message }) => message)).toEqual([
      'one',
      'two',
      'three',
    ])
    again.close()
    expectUnauthenticated(await refusalOf(ticket))
  })

  test('ends where a newer one of the ticket begins, on this node or another', async () => {
    const ticket = await alice.ticket()
    let stream = await alice.source(`?ticket=${ticket}`)
    for (const device of [alice, there(alice), alice, there(alice)]) {
      const newer = await device.source(`?ticket=${ticket}`, stream.lastEventId)
      await stream.until(() => stream.ended, 'the end of the older one', ENDED_MS)
      await expectHears(newer, `on ${device.url}`)
      stream = newer
    }
    expect(stream.ended).toBe(false)
  })

  test('that broke before anything of it came can be opened again within the 30 seconds, once it is closed', async () => {
    const ticket = await alice.ticket()
    const stream = await alice.source(`?ticket=${ticket}`)
    expectUnauthenticated(await refusalOf(ticket))
    expect(stream.ended).toBe(false)
    stream.close()
    await released(alice)
    const again = await there(alice).source(`?ticket=${ticket}`)
    await expectHears(again, 'again')
    again.close()
    await released(alice)
    await age(31)
    expectUnauthenticated(await refusalOf(ticket))
  })

  test('ends and is resumed no more when the token has expired that the ticket was given for', async () => {
    const exp = nowSeconds() + 3_600
    const device = alice.at(alice.url)
    device.token = await sign(ism.key, ism.issuer.url, { sub: alice.id, preferred_username: alice.name, exp })
    const [ticket, unused] = [await device.ticket(), await device.ticket()]
    const stream = await alice.source(`?ticket=${ticket}`)
    vi.useFakeTimers({ toFake: ['Date'], now: (exp - 60) * 1_000 })
    await stream.until(() => stream.named.includes('auth-expiring'), 'the warning')
    vi.setSystemTime((exp + LEEWAY) * 1_000)
    await stream.until(() => stream.ended, 'the end')
    expectUnauthenticated(await refusalOf(ticket, { 'last-event-id': stream.lastEventId ?? '' }))
    expectUnauthenticated(await refusalOf(unused))
  })
})

test('tickets are deleted when nothing can come of them any more', async () => {
  const { rows } = await ism.sql.query(
    `insert into stream_ticket (hash, user_id, expires_at, open_until, openings) values
      ('a', $1, now() + '1 hour', now() + '10 seconds', 0), ('b', $1, now() + '1 hour', now() - interval '2 minutes', 0),
      ('c', $1, now() - interval '6 minutes', now() - '1 hour'::interval, 1),
      ('d', $1, now() + '1 hour', now() - interval '2 hours', 7),
      ('e', $1, now() - interval '11 minutes', now() - '1 hour'::interval, 1),
      ('f', $1, now() - interval '11 minutes', now() - '1 hour'::interval, 1) returning 1`,
    [alice.id],
  )
  expect(rows).toHaveLength(6)
  const tried = await ism.sql.connect()
  await tried.query(`begin; select from stream_ticket where hash = 'f' for no key update`)
  await ism.sql.query(`update projection set lease_until = '-infinity' where name = 'maintenance'`)
  // It keeps house when it starts.
  const node = await ism.anotherNode()
  const left = async () => {
    const query = `select convert_from(hash, 'UTF8') as hash from stream_ticket where length(hash) = 1 order by 1`
    return (await ism.sql.query(query)).rows.map(({ hash }) => hash)
  }
  await eventually('old tickets are gone', async () => (await left()).length < 5)
  expect(await left(), 'one that somebody tries is waited for by nobody').toEqual(['a', 'c', 'd', 'f'])
  await tried.query('rollback')
  tried.release()
  await node.close()
})

describe('a token in the query', () => {
  test('opens a stream where that is allowed', async () => {
    const stream = await there(alice).source(`?access_token=${alice.token}`)
    await expectHears(stream, 'by query')
    for (const token of ['', 'nonsense', bob.token.slice(0, -4)])
      expectUnauthenticated(await call(`${there(alice).url}/api/sse?access_token=${token}`))
  })

  test('is no token where it is not allowed', async () => {
    expectUnauthenticated(await call(`/api/sse?access_token=${alice.token}`))
    const stream = await alice.stream(undefined, `?access_token=${bob.token}`)
    expect(stream.status).toBe(200)
  })

  test('is no token on any other call', async () => {
    for (const [method, path] of [
      ['GET', '/api/rooms'],
      ['GET', '/api/notifications/cursor'],
      ['POST', '/api/sse/ticket'],
    ] as const)
      expectUnauthenticated(await call(`${there(alice).url}${path}?access_token=${alice.token}`, {}, method))
  })

  test('may not stand beside another one, or a ticket', async () => {
    const { url } = there(alice)
    const header = { authorization: `Bearer ${alice.token}` }
    const ticket = await alice.ticket()
    const both = await call(`${url}/api/sse?access_token=${alice.token}`, header)
    expectRefusal(both, 'VALIDATION_ERROR', /^Use one of Authorization, ticket and access_token/)
    for (const query of [`access_token=x&access_token=y`, `access_token=${alice.token}&ticket=${ticket}`])
      expectRefusal(await call(`${url}/api/sse?${query}`), 'VALIDATION_ERROR')
    expectRefusal(await refusalOf(ticket, header), 'VALIDATION_ERROR')
    // None of that used the ticket.
    await expectHears(await alice.source(`?ticket=${ticket}`), 'first')
  })
})

test('neither tickets nor tokens are in the log, the metrics or an answer', async () => {
  const [used, late, both] = [await alice.ticket(), await alice.ticket(), await alice.ticket()]
  const stream = await alice.source(`?ticket=${used}`)
  const answers = [
    await refusalOf(used),
    await refusalOf(both, { authorization: `Bearer ${alice.token}` }),
    await refusalOf('guessed-ticket-guessed-ticket-guessed-ticke'),
    await call(`/api/sse?access_token=${alice.token}`),
    await call(`/api/sse/nothing?ticket=${late}&access_token=${alice.token}`),
    await call(`/api/sse?ticket=${late}`, {}, 'DELETE'),
  ]
  await age(31)
  answers.push(await refusalOf(late))
  // The statement fails.
  await ism.sql.query('alter table stream_ticket rename to hidden')
  answers.push(await refusalOf(both), await alice.post('/api/sse/ticket'))
  await ism.sql.query('alter table hidden rename to stream_ticket')
  expect(answers.map(({ status }) => status)).toEqual([401, 400, 401, 401, 404, 405, 401, 500, 500])
  stream.close()
  await eventually('the stream is in the log', async () => log.includes('"path":"/api/sse","status":200'))
  const metrics = await (
    await fetch(`${ism.url}/metrics`, { headers: { authorization: `Bearer ${METRICS_TOKEN}` } })
  ).text()
  const written = [log, metrics, ...answers.map(({ headers, body }) => JSON.stringify([[...headers], body]))].join('\n')
  expect(written).toContain('/api/sse')
  for (const secret of [used, late, both, 'guessed-ticket', alice.token, alice.token.split('.')[2] ?? ''])
    expect(written).not.toContain(secret)
})

describe('from another origin', () => {
  const headers = { origin: ORIGIN }

  test('streams and tickets can be read, without credentials', async () => {
    const answer = await alice.call('POST', '/api/sse/ticket', undefined, headers)
    const controller = new AbortController()
    const stream = await fetch(`${ism.url}/api/sse?ticket=${answer.body.ticket}`, {
      headers,
      signal: controller.signal,
    })
    const refused = await call(`/api/sse?ticket=${answer.body.ticket}`, headers)
    expect([answer.status, stream.status, refused.status]).toEqual([200, 200, 401])
    for (const each of [answer, stream, refused]) {
      expect(each.headers.get('access-control-allow-origin')).toBe(ORIGIN)
      expect(each.headers.get('access-control-allow-credentials')).toBeNull()
      expect(each.headers.get('vary')).toMatch(/origin/i)
    }
    controller.abort()
  })

  test.each([
    ['GET', '/api/sse', 'authorization,last-event-id'],
    ['GET', '/api/sse?ticket=x', 'last-event-id'],
    ['POST', '/api/sse/ticket', 'authorization,content-type'],
  ])('the preflight of %s %s with %s is answered', async (method, path, names) => {
    const preflight = { 'access-control-request-method': method, 'access-control-request-headers': names }
    const answer = await call(path, { ...headers, ...preflight }, 'OPTIONS')
    expect(answer.status).toBe(204)
    expect(answer.headers.get('access-control-allow-origin')).toBe(ORIGIN)
    expect(answer.headers.get('access-control-allow-methods')?.split(',')).toContain(method)
    const allowed = answer.headers.get('access-control-allow-headers')?.toLowerCase().split(',')
    expect(allowed).toEqual(expect.arrayContaining(names.split(',')))
  })

  test('which is not configured, nothing can be read', async () => {
    const ticket = await alice.ticket()
    const answer = await call(`/api/sse?ticket=${ticket}x`, { origin: 'https://evil.example' })
    expect(answer.headers.get('access-control-allow-origin')).toBeNull()
  })
})
