/** A projection whose work may be lost for a while: its position waits, and what was lost is done again. */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Database, openDatabase } from '../../src/infra/postgres.ts'
import type { LogEvent } from '../../src/log/event.ts'
import { type Projection, Projector } from '../../src/log/projector.ts'
import { createLogTransactions, type LogTransactions } from '../../src/log/transaction.ts'
import { createLogger } from '../../src/observability/logger.ts'
import { trimLog } from '../support/archive.ts'
import { ism as command, configuredFor } from '../support/command-line.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { eventually } from '../support/eventually.ts'
import { startIsm } from '../support/ism.ts'
import { metricOf } from '../support/metric.ts'
import { PushReceiver } from '../support/pushes.ts'

/** Longer than a test takes to look. */
const SETTLING_MS = 3_000

let database: TestDatabase
let db: Database
let transactions: LogTransactions
const projectors: Projector[] = []
let interruptions: number
let applied: number[]
let failsOnce: boolean
let takesMs: number
/** Told of each try. */
let isDown: (() => void) | undefined

beforeEach(async () => {
  database = await createDatabase()
  db = openDatabase(database.config, { queryStarted() {}, connectionFailed() {} })
  transactions = createLogTransactions(db, () => {})
  interruptions = 0
  applied = []
  failsOnce = false
  isDown = undefined
  takesMs = 0
})
afterEach(async () => {
  for (const projector of projectors.splice(0)) await projector.stop()
  await db.close()
  await database.drop()
})

function start(milliseconds: number): Projector {
  const projection: Projection = {
    name: 'test',
    settling: { milliseconds, interruptions: () => interruptions },
    async apply(events: LogEvent[]) {
      await delay(takesMs)
      isDown?.()
      if (failsOnce || isDown) {
        failsOnce = false
        throw new Error('the store is down')
      }
      applied.push(...events.map(({ seq }) => seq))
    },
  }
  const projector = new Projector(db, projection, { projected() {}, projectionFailed() {} }, randomUUID())
  projectors.push(projector)
  projector.start()
  return projector
}

const append = async () => {
  await transactions.run((transaction) => transaction.append({ type: 8, recipients: [], body: '{"message":null}' }))
  for (const projector of projectors) projector.wake()
  const [row] = await db.query<{ seq: number }>('test.head', 'select max(seq) as seq from event')
  return row?.seq ?? 0
}
const position = async () => {
  const [row] = await db.query<{ seq: number }>('test.position', `select seq from projection where name = 'test'`)
  return row?.seq ?? 0
}
const times = (seq: number) => applied.filter((each) => each === seq).length

test('the position comes to what is done once it is settled, though nothing more happens', async () => {
  start(SETTLING_MS)
  const seq = await append()
  await eventually('it is done', async () => times(seq) === 1)
  expect(await position()).toBeLessThan(seq)
  await eventually('it is settled', async () => (await position()) === seq)
  expect(times(seq)).toBe(1)
})

test('what was not settled when the store went away is done again, what was settled is not', async () => {
  start(SETTLING_MS)
  const settled = await append()
  await eventually('it is settled', async () => (await position()) === settled)
  const lost = await append()
  await eventually('it is done', async () => times(lost) === 1)
  interruptions++
  await eventually('it is done again', async () => times(lost) === 2)
  await eventually('it is settled', async () => (await position()) === lost)
  expect(times(settled)).toBe(1)
})

test('a failure takes what is not settled with it', async () => {
  start(60_000)
  const first = await append()
  await eventually('it is done', async () => times(first) === 1)
  failsOnce = true
  await append()
  await eventually('it is done again', async () => times(first) === 2)
  expect(await position()).toBeLessThan(first)
})

test('while the store is down it is tried again each second, however much is appended meanwhile', async () => {
  const tries: number[] = []
  const projector = start(0)
  isDown = () => {
    tries.push(performance.now())
    projector.wake()
  }
  await append()
  await eventually('it was tried three times', async () => tries.length >= 3)
  isDown = undefined
  const [first = 0, , third = 0] = tries
  expect(third - first).toBeGreaterThan(1_900)
})

test('another node that takes over does again what was not settled', async () => {
  const one = start(60_000)
  const seq = await append()
  await eventually('it is done', async () => times(seq) === 1)
  await one.stop()
  start(0)
  await eventually('it is done again', async () => times(seq) === 2)
  await eventually('it is settled', async () => (await position()) === seq)
})

test('of two nodes one gets done with what takes longer than a lease', async () => {
  takesMs = 7_000
  start(0)
  start(0)
  const seq = await append()
  await eventually('it is settled', async () => (await position()) === seq, 18_000)
  expect(times(seq)).toBe(1)
})

test('one that the log has left behind stands still, says so, and goes on where it is told to', async () => {
  const ism = await startIsm()
  const receiver = await new PushReceiver().start()
  const push = { http: { url: receiver.url, accessToken: undefined } }
  const [alice, bob] = await ism.people('alice', 'bob')
  await alice.createRoom([bob], 'before')
  const cwd = await configuredFor(ism)
  const run = async (...argv: string[]) => command(argv, { cwd })
  const status = async () =>
    JSON.parse((await run('status', '--json')).stdout).projections.find(
      (each: { name: string }) => each.name === 'push:http',
    )

  await ism.sql.query("insert into projection (name, seq) values ('push:http', 0), ('push:kafka', 1000000)")
  await trimLog(ism)
  expect((await status()).brokenAt).toMatch(/^\d{4}-/)
  expect((await run('status')).stdout).toMatch(/push:http.*broken: ism resume push:http/)
  const { rows } = await ism.sql.query('select name from projection where broken_at is not null')
  expect(rows).toEqual([{ name: 'push:http' }])

  // Housekeeping goes to the node that starts now.
  await ism.app.close()
  await ism.sql.query("update projection set holder = null where name = 'maintenance'")
  const lines: string[] = []
  const node = await ism.anotherNode({ push }, createLogger('error', { write: (line) => void lines.push(line) }))
  await eventually('the node says so', async () => lines.some((line) => line.includes('ism resume push:http')), 15_000)
  expect(await metricOf({ app: node }, 'ism_projection_broken', { name: 'push:http' })).toBe(1)
  const at = alice.at(`http://127.0.0.1:${node.address.port}`)
  await at.createRoom([bob], 'meanwhile')
  expect(await status()).toMatchObject({ holder: null })
  expect(receiver.received).toEqual([])

  expect(await run('resume', 'push:http')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^push:http goes on after seq \d+\n$/),
  })
  await eventually('it goes on', async () => receiver.pushes.length > 0)
  expect(receiver.pushes.map(({ notification }) => notification['room'].roomName)).toEqual(['meanwhile'])
  expect((await status()).brokenAt).toBeNull()
  expect(await run('resume', 'push:http')).toMatchObject({
    code: 1,
    stderr: 'ism: there is no broken projection "push:http"\n',
  })
  expect((await run('resume', 'push:http', '--from', 'yesterday')).code).toBe(2)

  await ism.sql.query("update projection set broken_at = now(), seq = 0 where name = 'push:http'")
  receiver.received.length = 0
  expect((await run('resume', 'push:http', '--from', 'now', '--json')).code).toBe(0)
  await at.createRoom([bob], 'from now on')
  await eventually('it goes on', async () => receiver.pushes.length > 0)
  expect(receiver.pushes.map(({ notification }) => notification['room'].roomName)).toEqual(['from now on'])
  await node.close()
  await ism.stop()
  await receiver.stop()
}, 60_000)
