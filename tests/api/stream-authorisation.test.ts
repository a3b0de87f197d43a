/** A stream lasts as long as what authorised it: its token, and its person. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { EventStream } from '../support/event-stream.ts'
import { eventually } from '../support/eventually.ts'
import { appendSystemMessage } from '../support/hearing.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { nowSeconds, sign } from '../support/issuer-server.ts'
import type { Person } from '../support/person.ts'
import { expectRefusal, expectUnauthenticated } from '../support/refusal.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

const LEEWAY = 2
/** As promised. */
const ENDED_MS = 1_000
const METRICS_TOKEN = 'metrics-token'

let ism: TestIsm
let pooled: TestIsm
let alice: Person
let bob: Person
beforeAll(async () => {
  ;[ism, pooled] = await Promise.all([
    startIsm({
      tokenIssuer: { leewaySeconds: LEEWAY },
      metrics: { token: METRICS_TOKEN },
      // Whoever resumes reads from the database.
      log: { memoryBytes: 1 },
    }),
    startIsm({ postgres: { transactionPooler: true } }),
  ])
})
afterAll(() => Promise.all([ism.stop(), pooled.stop()]))
beforeEach(async () => {
  const round = Math.random().toString(36).slice(2)
  ;[alice, bob] = await ism.people(`alice ${round}`, `bob ${round}`)
})
afterEach(() => {
  vi.useRealTimers()
  for (const person of [alice, bob]) person.closeStreams()
})

/** A device of the same person whose token expires then. */
async function expiringAt(person: Person, exp: number): Promise<Person> {
  const device = person.at(person.url)
  device.token = await sign(ism.key, ism.issuer.url, { sub: person.id, preferred_username: person.name, exp })
  return device
}

/** By the clock of ISM, which runs in this process; timers go on as they do. */
function setClock(seconds: number): void {
  vi.useFakeTimers({ toFake: ['Date'], now: seconds * 1_000 })
}

const warnings = ({ namedFrames }: EventStream) => namedFrames.filter((frame) => frame.startsWith('event: auth-'))
const warningOf = (exp: number) => `event: auth-expiring\ndata: {"expiresAt":"${new Date(exp * 1_000).toISOString()}"}`

describe('the token of a stream', () => {
  test('is announced to expire a minute before, once, by a named event that moves no cursor', async () => {
    const exp = nowSeconds() + 3_600
    const device = await expiringAt(alice, exp)
    const sooner = await (await expiringAt(alice, exp - 1)).stream()
    const stream = await device.stream()
    const cursor = stream.lastEventId
    // The one that is warned shows that the other was not forgotten, but spared.
    setClock(exp - 61)
    await sooner.until(() => warnings(sooner).length > 0, 'the warning of the other token')
    expect(warnings(stream)).toEqual([])
    setClock(exp - 60)
    await stream.until(() => warnings(stream).length > 0, 'the warning')
    setClock(exp - 1 + LEEWAY)
    await sooner.until(() => sooner.ended, 'the end of the other token')
    expect(warnings(stream)).toEqual([warningOf(exp)])
    expect(stream.lastEventId).toBe(cursor)
    expect(stream.events).toEqual([])
    expect(stream.ended).toBe(false)
  })

  test('ends it as late as it would still be accepted, clock_leeway counted', async () => {
    const exp = nowSeconds() + 3_600
    const device = await expiringAt(alice, exp)
    const sooner = await (await expiringAt(bob, exp - 1)).stream()
    const stream = await device.stream()
    setClock(exp + LEEWAY - 1)
    await sooner.until(() => sooner.ended, 'the end of the other token')
    expect((await device.get('/api/rooms')).status).toBe(200)
    await appendSystemMessage(ism, [alice], 'still here')
    await stream.next(({ message }) => message === 'still here')
    expect(stream.ended).toBe(false)
    setClock(exp + LEEWAY)
    await stream.until(() => stream.ended, 'the end')
    expectUnauthenticated(await device.get('/api/sse'))
  })

  test('of which little is left is announced at once, and ends it in time; a new one resumes without loss', async () => {
    const roomId = await alice.createRoom([bob])
    const exp = nowSeconds() + 1
    const opened = Date.now()
    const stream = await (await expiringAt(bob, exp)).stream()
    await stream.until(() => warnings(stream).length > 0, 'the warning', ENDED_MS)
    expect(warnings(stream)).toEqual([warningOf(exp)])
    await alice.send(roomId, 'before')
    await stream.until(() => stream.ended, 'the end', (exp + LEEWAY) * 1_000 - opened + ENDED_MS)
    expect(Date.now()).toBeGreaterThanOrEqual((exp + LEEWAY) * 1_000)
    await alice.send(roomId, 'after')
    const resumed = await bob.stream(stream.lastEventId)
    await resumed.next(({ message }) => message?.msgBody.text === 'after')
    expect(stream.ofType('ChatMessage').map(({ message }) => message.msgBody.text)).toEqual(['before'])
    expect(resumed.events.map(({ message }) => message.msgBody.text)).toEqual(['after'])
    expect(warnings(resumed)).toEqual([])
  })

  test('also ends one that still replays a long backlog, which another one goes on with', async () => {
    const COUNT = 160
    const cursor = (await alice.get('/api/notifications/cursor')).body.lastEventId
    for (let n = 0; n < COUNT; n++) await appendSystemMessage(ism, [alice], `${n} ${'x'.repeat(150_000)}`)
    const exp = nowSeconds() + 3_600
    const slow = await (await expiringAt(alice, exp)).stream(cursor)
    slow.pause()
    const before = await streamsEnded()
    setClock(exp + LEEWAY)
    await eventually('the server has ended it', async () => (await streamsEnded()) > before)
    vi.useRealTimers()
    slow.resume()
    await slow.until(() => slow.ended, 'its end')
    expect(slow.events.length).toBeLessThan(COUNT)
    const resumed = await alice.stream(slow.lastEventId)
    await resumed.until(() => slow.events.length + resumed.events.length === COUNT, 'the rest')
    const numbers = [...slow.events, ...resumed.events].map(({ message }) => Number.parseInt(message, 10))
    expect(numbers).toEqual(Array.from({ length: COUNT }, (_, n) => n))
  })
})

/** Streams whose connection is over, by the metrics of requests. */
async function streamsEnded(): Promise<number> {
  const response = await fetch(`${ism.url}/metrics`, { headers: { authorization: `Bearer ${METRICS_TOKEN}` } })
  const text = await response.text()
  return Number(
    /^ism_http_request_duration_seconds_count\{method="GET",route="\/api\/sse",status="200"\} (\d+)$/m.exec(
      text,
    )?.[1] ?? 0,
  )
}

describe('a person who is marked deleted', () => {
  const markDeleted = (where: TestIsm, { id }: Person) =>
    where.sql.query('update app_user set deleted_at = now() where id = $1', [id])

  test('stops receiving within a second, on each of their devices, and nobody else does', async () => {
    const streams = await Promise.all([alice.stream(), alice.stream(), alice.source(`?ticket=${await alice.ticket()}`)])
    const others = await bob.stream()
    await markDeleted(ism, alice)
    for (const stream of streams) await stream.until(() => stream.ended, 'the end', ENDED_MS)
    expectRefusal(await alice.get('/api/sse'), 'INSUFFICIENT_PERMISSIONS', 'This user was deleted.')
    await appendSystemMessage(ism, [alice, bob], 'who is here?')
    await others.next(({ message }) => message === 'who is here?')
    expect(others.ended).toBe(false)
    for (const { events } of streams) expect(events).toEqual([])
  })

  test('cannot use a ticket from before', async () => {
    const ticket = await alice.ticket()
    await markDeleted(ism, alice)
    expect((await alice.source(`?ticket=${ticket}`)).status).toBe(401)
  })

  test('stops receiving within a second where nothing is notified', async () => {
    const [dora, emil] = await pooled.people('dora', 'emil')
    const streams = await Promise.all([dora.stream(), dora.stream()])
    const others = await emil.stream()
    await markDeleted(pooled, dora)
    for (const stream of streams) await stream.until(() => stream.ended, 'the end', ENDED_MS)
    expect(others.ended).toBe(false)
  })

  test('stops receiving within a second while wake-ups are interrupted', async () => {
    const stream = await alice.stream()
    const others = await bob.stream()
    const { rowCount } = await ism.sql.query(
      `select pg_terminate_backend(pid, 1000) from pg_stat_activity
      where application_name = 'ism listener' and datname = current_database()`,
    )
    expect(rowCount).toBe(1)
    await markDeleted(ism, alice)
    await stream.until(() => stream.ended, 'the end', ENDED_MS)
    expect(others.ended).toBe(false)
  })

  test('stops receiving within a second while wake-ups hang, and nothing tells that they do', async () => {
    const proxy = await startTcpProxy(ism.config.postgres)
    const node = await ism.anotherNode({ postgres: { host: '127.0.0.1', port: proxy.port } })
    try {
      const [stream, others] = await Promise.all(
        [alice, bob].map((person) => person.at(`http://127.0.0.1:${node.address.port}`).stream()),
      )
      await eventually('it listens', async () => proxy.sent().includes('listen "ism_user"'))
      proxy.stall('listen "ism_user"')
      await markDeleted(ism, alice)
      // A second is promised; a busy machine may be late by as much.
      await stream?.until(() => stream.ended, 'the end', 2 * ENDED_MS)
      expect(others?.ended).toBe(false)
    } finally {
      await node.close()
      await proxy.close()
    }
  })

  test('and one whose row is gone', async () => {
    const [carol] = await ism.people(`carol ${Math.random()}`)
    const stream = await carol.stream()
    await ism.sql.query('delete from app_user where id = $1', [carol.id])
    await stream.until(() => stream.ended, 'the end', ENDED_MS)
  })

  test('goes on where the row changed otherwise', async () => {
    const stream = await alice.stream()
    const witness = await bob.stream()
    await ism.sql.query(`update app_user set description = 'new' where id = $1`, [alice.id])
    await markDeleted(ism, bob)
    await witness.until(() => witness.ended, 'the end of the other', ENDED_MS)
    expect(stream.ended).toBe(false)
  })
})
