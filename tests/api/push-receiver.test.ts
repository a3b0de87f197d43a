/** What becomes of pushes while their receiver is down, slow, rude, or refuses some: none is lost, none blocks the rest. */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createOutboundHttp } from '../../src/infra/outbound-http.ts'
import { openDatabase } from '../../src/infra/postgres.ts'
import { readLogState } from '../../src/log/log-repository.ts'
import { Projector } from '../../src/log/projector.ts'
import { createPushProjection } from '../../src/push/push-projection.ts'
import { createHttpPushTarget, PUSH_HTTP } from '../../src/push/push-target-http.ts'
import { ism as command, configuredFor } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import type { Answering } from '../support/http-receiver.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { metricOf } from '../support/metric.ts'
import type { Person } from '../support/person.ts'
import { PushReceiver, pushed } from '../support/pushes.ts'

let receiver: PushReceiver
let ism: TestIsm
let alice: Person
let bob: Person
let roomId: string
let stopHurried: (() => Promise<void>) | undefined

async function start(maxAgeMs = 3_600_000): Promise<void> {
  receiver = await new PushReceiver().start()
  ism = await startIsm({ push: { http: { url: receiver.url, accessToken: undefined }, maxAgeMs } })
  ;[alice, bob] = await ism.people('alice', 'bob')
  roomId = await alice.createRoom([bob], 'Tea')
  await pushed(ism)
  receiver.received.length = 0
}
beforeEach(() => start())
afterEach(async () => {
  await stopHurried?.()
  stopHurried = undefined
  await ism.stop()
  await receiver.stop()
})

const answering = (status: number, headers: Record<string, string> = {}): Answering => {
  return (_, res) => res.writeHead(status, headers).end()
}
const texts = (person = bob) => [...new Set(receiver.textsOf(person))]
const heard = (count: number, milliseconds = 15_000) =>
  eventually(`bob gets ${count}`, async () => texts().length >= count, milliseconds)
const health = async () => {
  const { stores } = (await (await fetch(`${ism.url}/health/ready`)).json()) as {
    stores: { name: string; required: boolean; ok: boolean }[]
  }
  return stores.find(({ name }) => name === 'push:http')
}
const dead = async () => (await ism.sql.query('select * from dead_delivery order by id')).rows
const cli = async (...argv: string[]) => {
  const cwd = await configuredFor(ism, { top: `push_notification_url = "${receiver.url}"` })
  return command(argv, { cwd })
}

test('while it is down all waits, chat goes on, and all comes in order when it is back', async () => {
  expect(await health()).toMatchObject({ required: false, ok: true })
  await receiver.stop()
  for (let n = 0; n < 20; n++) expect((await alice.send(roomId, `message ${n}`)).status).toBe(200)
  await eventually('ISM says so', async () => (await health())?.ok === false)
  const { rows } = await ism.sql.query("select seq from projection where name = 'push:http'")
  const { stdout } = await cli('status', '--json')
  expect(JSON.parse(stdout).projections).toContainEqual(
    expect.objectContaining({ name: 'push:http', seq: Number(rows[0].seq), lag: 20, brokenAt: null }),
  )
  await receiver.start()
  await heard(20)
  expect(receiver.textsOf(bob)).toEqual(Array.from({ length: 20 }, (_, n) => `message ${n}`))
  await eventually('ISM says so', async () => (await health())?.ok === true)
  expect(await dead()).toEqual([])
})

test.each([401, 403, 408, 425, 429, 502, 503, 504])('%i is a matter of time', async (status) => {
  receiver.answer = answering(status)
  await alice.send(roomId, 'late')
  await eventually('it was tried', async () => receiver.received.length >= 2)
  receiver.received.length = 0
  receiver.answer = undefined
  await heard(1)
  expect(await metricOf(ism, 'ism_pushes_total', { target: 'push:http', outcome: 'refused' })).toBe(0)
})

test('Retry-After is waited for', async () => {
  const times: number[] = []
  receiver.answer = ({ at }, res) => {
    times.push(at)
    if (times.length === 1) res.writeHead(503, { 'retry-after': '3' }).end()
    else res.writeHead(200).end()
  }
  await alice.send(roomId, 'late')
  await eventually('it was tried twice', async () => times.length === 2)
  expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(2_900)
})

test('one that hangs is given up after ten seconds, and tried again', async () => {
  receiver.answer = () => undefined
  await alice.send(roomId, 'late')
  await eventually('it was tried twice', async () => receiver.received.length === 2, 15_000)
  receiver.received.length = 0
  await receiver.stop()
  receiver.answer = undefined
  await receiver.start()
  await heard(1)
})

test('a huge answer is not read to its end', async () => {
  let sent = 0
  receiver.answer = async (_, res) => {
    res.writeHead(200, { 'content-type': 'text/plain' })
    const piece = 'x'.repeat(64 * 1024)
    for (let n = 0; n < 1_000 && !res.destroyed; n++) {
      sent += piece.length
      if (!res.write(piece)) await Promise.race([new Promise((resolve) => res.once('drain', resolve)), delay(100)])
    }
    res.end()
  }
  await alice.send(roomId, 'one')
  await pushed(ism)
  expect(receiver.textsOf(bob)).toEqual(['one'])
  expect(sent).toBeLessThan(32 * 1024 * 1024)
})

test('a redirect is not followed: it is a refusal', async () => {
  const elsewhere = await new PushReceiver().start()
  receiver.answer = answering(307, { location: elsewhere.url })
  await alice.send(roomId, 'one')
  await eventually('it was tried again', async () => receiver.received.length >= 3)
  expect(elsewhere.received).toEqual([])
  expect(await health()).toMatchObject({ ok: false })
  await elsewhere.stop()
})

/** Pushes as a node would, but for shorter waits between tries. */
async function startHurried(): Promise<void> {
  await ism.stop()
  ism = await startIsm()
  ;[alice, bob] = await ism.people('alice', 'bob')
  roomId = await alice.createRoom([bob], 'Tea')
  const db = openDatabase(ism.config.postgres, { queryStarted() {}, connectionFailed() {} })
  const http = createOutboundHttp(PUSH_HTTP)
  const { rows } = await ism.sql.query('select holder from node')
  const push = createPushProjection(
    db,
    createHttpPushTarget({ url: receiver.url, accessToken: undefined }, http),
    {
      epoch: (await readLogState(db)).epoch,
      maxAgeMs: 3_600_000,
      holder: rows[0].holder,
      backOff: { firstMs: 50, maxMs: 200 },
    },
    { pushed() {}, pushRefused() {}, pushUnanswered() {}, pushesDied() {}, coverageFailed() {} },
  )
  const projector = new Projector(db, push, { projected() {}, projectionFailed() {} }, randomUUID())
  push.drivenBy(projector)
  await projector.register()
  projector.start()
  stopHurried = async () => {
    await projector.stop()
    await db.close()
  }
}

test('one that it refuses dies alone and is kept; the rest goes on; ism push retry delivers it', async () => {
  await startHurried()
  const carol = await ism.person('carol')
  await carol.get('/api/rooms')
  const other = await alice.createRoom([carol], 'Cake')
  await pushed(ism)
  receiver.received.length = 0
  let refuses = true
  receiver.answer = ({ body }, res) => res.writeHead(refuses && body.includes('poison') ? 422 : 200).end()
  const accepted = (person: Person) => {
    const bodies = receiver.received.filter(({ body }) => !body.includes('poison')).map(({ body }) => body)
    return bodies.flatMap((body) =>
      JSON.parse(body)
        .filter(({ to_user }: { to_user: string[] }) => to_user.includes(person.id))
        .map(({ notification }: { notification: { message: { msgBody: { text: string } } } }) => {
          return notification.message.msgBody.text
        }),
    )
  }
  await Promise.all([
    alice.send(roomId, 'before'),
    ...Array.from({ length: 9 }, (_, n) => alice.send(other, `cake ${n}`)),
  ])
  const { body: poison } = await alice.send(roomId, 'poison')
  await alice.send(roomId, 'after')
  await alice.send(other, 'last cake')
  await eventually('carol has all of hers', async () => accepted(carol).includes('last cake'))
  expect(accepted(bob)).toEqual(['before'])

  await eventually('it is dead', async () => (await dead()).length === 1, 40_000)
  await eventually('what was behind it came', async () => accepted(bob).includes('after'))
  expect(accepted(bob)).toEqual(['before', 'after'])
  const [row] = await dead()
  expect(row).toMatchObject({ target: 'push:http', reason: 'refused 20 times: answered 422' })
  expect(JSON.parse(row.payload)).toMatchObject({
    to_user: [bob.id],
    notification: { message: { messageId: poison.messageId } },
  })
  await pushed(ism)
  expect((await cli('status')).stdout).toContain('given up: 1 for push:http\n')
  expect(JSON.parse((await cli('status', '--json')).stdout).deadDeliveries).toEqual([{ target: 'push:http', count: 1 }])
  expect(await metricOf(ism, 'ism_dead_deliveries', { target: 'push:http' })).toBe(1)

  expect(await cli('push', 'retry', '--dry-run')).toMatchObject({ code: 0, stdout: 'push:http: 1 would be tried\n' })
  const refused = await cli('push', 'retry')
  expect(refused).toMatchObject({ code: 1, stdout: 'push:http: 0 delivered, 1 left\n' })
  expect(refused.stderr).toBe(`refused: seq ${row.seq}: answered 422\nism: 1 push is left\n`)
  expect(await dead()).toHaveLength(1)
  refuses = false
  receiver.received.length = 0
  const delivered = await cli('push', 'retry', '--json')
  expect(delivered.code).toBe(0)
  expect(JSON.parse(delivered.stdout)).toEqual({
    dryRun: false,
    targets: [{ target: 'push:http', delivered: 1, left: 0, refused: [], error: null }],
  })
  expect(receiver.received.map(({ body }) => body)).toEqual([`[${row.payload}]`])
  expect(await dead()).toEqual([])
  expect(await cli('push', 'retry')).toMatchObject({ code: 0, stdout: 'no push was given up\n' })
}, 80_000)

test('a single one that it never gets done with does not keep ism push retry from the others', async () => {
  const payload = (text: string) => JSON.stringify({ to_user: [bob.id], notification: { text } })
  await ism.sql.query(
    `insert into dead_delivery (target, seq, payload, reason, attempts)
    select 'push:http', n, p, 'test', 1 from unnest($1::text[]) with ordinality as d(p, n)`,
    [['poison', 'one', 'two', 'three', 'four'].map(payload)],
  )
  receiver.answer = ({ body }, res) => res.writeHead(body.includes('poison') ? 503 : 200).end()
  const { stdout, code } = await cli('push', 'retry', '--json')
  expect(code).toBe(1)
  expect(JSON.parse(stdout).targets).toEqual([
    { target: 'push:http', delivered: 4, left: 1, refused: [{ seq: 1, reason: 'answered 503' }], error: null },
  ])
  expect((await dead()).map(({ payload: left }) => left)).toEqual([payload('poison')])
})

test('what is older than the limit is given up; ism push retry says where it cannot deliver, and discard forgets it', async () => {
  await ism.stop()
  await receiver.stop()
  await start(2_000)
  await receiver.stop()
  for (let n = 0; n < 30; n++) await alice.send(roomId, `message ${n}`)
  await eventually('they are dead', async () => (await dead()).length === 30, 20_000)
  for (const { reason } of await dead()) expect(reason).toMatch(/^older than 2 seconds: no answer/)

  const down = await cli('push', 'retry')
  expect(down.code).toBe(1)
  expect(down.stdout).toMatch(/^push:http: 0 delivered, 30 left \(no answer/)
  expect(down.stderr).toBe('ism: 30 pushes are left\n')
  const cwd = await configuredFor(ism)
  const nowhere = await command(['push', 'retry', '--json'], { cwd })
  expect(nowhere.code).toBe(1)
  expect(JSON.parse(nowhere.stdout).targets).toMatchObject([{ left: 30, error: 'is not configured' }])

  await receiver.start()
  expect(await cli('push', 'retry')).toMatchObject({ code: 0, stdout: 'push:http: 30 delivered, 0 left\n' })
  expect(receiver.textsOf(bob)).toEqual(Array.from({ length: 30 }, (_, n) => `message ${n}`))

  await ism.sql.query(
    `insert into dead_delivery (target, seq, payload, reason, attempts) values
      ('push:http', 1, '{}', 'test', 1), ('webhook:one', 1, '{}', 'test', 1)`,
  )
  expect(await cli('push', 'discard', '--dry-run')).toMatchObject({ stdout: 'push:http: 1 would be forgotten\n' })
  expect(await cli('push', 'discard')).toMatchObject({ code: 0, stdout: 'push:http: 1 forgotten\n' })
  expect((await dead()).map(({ target }) => target)).toEqual(['webhook:one'])
})

test('a node that stops finishes what is on its way, and what is left goes on with the next', async () => {
  let isSlow = true
  receiver.answer = async (_, res) => {
    if (isSlow) await delay(1_000)
    res.writeHead(200).end()
  }
  await alice.send(roomId, 'one')
  await eventually('it is on its way', async () => receiver.received.length === 1)
  await alice.send(roomId, 'two')
  const other = await ism.anotherNode()
  const since = performance.now()
  await ism.app.close()
  expect(performance.now() - since).toBeLessThan(10_000)
  isSlow = false
  await heard(2)
  await pushed(ism)
  expect(receiver.textsOf(bob)).toEqual(['one', 'two'])
  await other.close()
})

test('what a node that stops has read, and not yet decided about, goes on with the next', async () => {
  const other = await ism.anotherNode()
  const sql = await ism.sql.connect()
  await sql.query('begin; lock table presence')
  await alice.send(roomId, 'undecided')
  await eventually('it is asked who has a stream', async () => {
    const { rowCount } = await ism.sql.query(
      `select from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock' and query like '%from presence p join node n%'`,
    )
    return rowCount === 1
  })
  const closed = ism.app.close()
  await sql.query('commit')
  sql.release()
  await closed
  await heard(1)
  expect(texts()).toEqual(['undecided'])
  await other.close()
})

test('a target that is new begins with what comes', async () => {
  await alice.send(roomId, 'before')
  await pushed(ism)
  const later = await new PushReceiver().start()
  await ism.sql.query(`delete from projection where name = 'push:http'`)
  const other = await ism.anotherNode({ push: { http: { url: later.url, accessToken: undefined } } })
  await ism.app.close()
  await alice.at(`http://127.0.0.1:${other.address.port}`).send(roomId, 'after')
  await eventually('it came', async () => later.pushes.length > 0)
  expect(later.textsOf(bob)).toEqual(['after'])
  await other.close()
  await later.stop()
})
