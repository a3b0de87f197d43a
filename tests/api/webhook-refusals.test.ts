/** A webhook beyond the good days: refused for good and tried again by hand, taken out and in, left behind by the log. */
import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { WebhookReceiver } from '../../src/config/config.ts'
import { MAX_REFUSALS } from '../../src/deliveries/back-off.ts'
import { type Database, openDatabase } from '../../src/infra/postgres.ts'
import { readLogState } from '../../src/log/log-repository.ts'
import { Projector } from '../../src/log/projector.ts'
import { createReceiver } from '../../src/webhooks/receiver.ts'
import { createWebhookProjection } from '../../src/webhooks/webhook-projection.ts'
import { trimLog } from '../support/archive.ts'
import { ism as command, configuredFor } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { toml } from '../support/node.ts'
import type { Person } from '../support/person.ts'
import { WebhookServer } from '../support/webhook-server.ts'

let ism: TestIsm
let db: Database
let alice: Person
let bob: Person
let roomId: string
let backend: WebhookServer
let round = 0
const projectors: Projector[] = []

beforeAll(async () => {
  ism = await startIsm()
  db = openDatabase(ism.config.postgres, { queryStarted() {}, connectionFailed() {} })
  ;[alice, bob] = await ism.people('alice', 'bob')
  roomId = await alice.createRoom([bob], 'Cooks')
})
afterAll(async () => {
  await db.close()
  await ism.stop()
})
beforeEach(async () => {
  backend = await new WebhookServer(`backend-${++round}`).start()
})
afterEach(async () => {
  for (const projector of projectors.splice(0)) await projector.stop()
  await backend.stop()
  await ism.sql.query(`delete from dead_delivery`)
  await ism.sql.query(`delete from projection where name like 'webhook:%'`)
})

/** Delivers as a node would, but for shorter waits between tries. */
async function start(more: Partial<WebhookReceiver> = {}): Promise<Projector> {
  const config = backend.config(['ChatMessage'], more)
  let projector: Projector | undefined
  const projection = createWebhookProjection(db, config, createReceiver(config), {
    epoch: (await readLogState(db)).epoch,
    mayDeliver: () => projector?.isHolder === true,
    drained: () => projector?.wake(),
    observe: { webhookDelivered() {}, webhookRefused() {}, webhookUnanswered() {}, webhookDied() {} },
    backOff: { firstMs: 5, maxMs: 50 },
  })
  projector = new Projector(db, projection, { projected() {}, projectionFailed() {} }, randomUUID())
  projectors.push(projector)
  await projector.register()
  projector.start()
  return projector
}

async function send(text: string): Promise<string> {
  const { status, body } = await alice.send(roomId, text)
  expect(status).toBe(200)
  for (const projector of projectors) projector.wake()
  return body.messageId
}
const texts = () => backend.taken.map(({ data }) => data.event.message.msgBody.text)
const dead = async () =>
  (
    await ism.sql.query('select seq, reason, attempts, payload from dead_delivery where target = $1 order by id', [
      `webhook:${backend.name}`,
    ])
  ).rows

async function position(): Promise<number> {
  const { rows } = await ism.sql.query('select seq from projection where name = $1', [`webhook:${backend.name}`])
  return Number(rows[0]?.seq)
}

/** The command, with the receiver in its configuration. */
async function webhooks(argv: string[], { configured = true } = {}) {
  const { name, http, secret } = backend
  const table = { name, url: http.url, secret: [secret], events: ['ChatMessage'], allow_private: true }
  const cwd = await configuredFor(ism, { sections: configured ? toml({ webhooks: [table] }) : '' })
  return command(['webhooks', ...argv], { cwd })
}

describe('an event that is refused for good', () => {
  /** 'bad' is refused until `heal` is called. */
  async function refuseOne(): Promise<{ heal(): void }> {
    let isHealed = false
    backend.answering = ({ data }) => (data.event.message.msgBody.text === 'bad' && !isHealed ? 400 : 204)
    await start()
    await send('good')
    await send('bad')
    await send('better')
    await eventually('it is put aside', async () => (await dead()).length === 1)
    await backend.count(2)
    expect(texts()).toEqual(['good', 'better'])
    return {
      heal() {
        isHealed = true
      },
    }
  }

  test('is put aside after twenty tries, with its reason; what follows in its room goes on', async () => {
    await refuseOne()
    const tries = backend.deliveries.filter(({ status }) => status === 400)
    expect(tries).toHaveLength(MAX_REFUSALS)
    expect(new Set(tries.map(({ id }) => id)).size).toBe(1)
    const [row] = await dead()
    expect(row).toMatchObject({ reason: 'answered 400', attempts: MAX_REFUSALS, seq: String(tries[0]?.data.event.seq) })
    expect(JSON.stringify(row)).not.toContain(backend.secret)
    await eventually('the position is past it', async () => (await position()) > Number(row.seq))
  })

  test('is delivered by "ism webhooks retry", under the same id and a new signature', async () => {
    const { heal } = await refuseOne()
    const { id } = backend.deliveries.find(({ status }) => status === 400) ?? {}
    const still = await webhooks(['retry'])
    expect(still).toMatchObject({ code: 1, stdout: `${backend.name}: 0 delivered, 1 left (answered 400)\n` })
    expect(await dead()).toHaveLength(1)

    heal()
    expect(await webhooks(['retry', backend.name, '--dry-run'])).toMatchObject({
      code: 0,
      stdout: `${backend.name}: 1 would be tried\n`,
    })
    expect(await webhooks(['retry', backend.name])).toEqual({
      code: 0,
      stdout: `${backend.name}: 1 delivered, 0 left\n`,
      stderr: '',
    })
    expect(backend.taken.at(-1)).toMatchObject({ id, data: { event: { message: { msgBody: { text: 'bad' } } } } })
    expect(await dead()).toEqual([])
    expect(backend.forged).toEqual([])
    expect(await webhooks(['retry'])).toMatchObject({ code: 0, stdout: 'no event was given up\n' })
  })

  test('stays while the receiver is not there', async () => {
    await refuseOne()
    await backend.stop()
    const { code, stdout } = await webhooks(['retry'])
    expect({ code, stdout }).toEqual({
      code: 1,
      stdout: `${backend.name}: 0 delivered, 1 left (no answer (ECONNREFUSED))\n`,
    })
    expect(await dead()).toHaveLength(1)
  })

  test('is discarded where nobody wants it', async () => {
    await refuseOne()
    expect(await webhooks(['discard', backend.name])).toMatchObject({
      code: 0,
      stdout: `${backend.name}: 1 forgotten\n`,
    })
    expect(await dead()).toEqual([])
  })

  test('of a receiver that is not configured can only be discarded', async () => {
    await refuseOne()
    const { code, stdout } = await webhooks(['retry'], { configured: false })
    expect({ code, stdout }).toEqual({
      code: 1,
      stdout: `${backend.name}: 0 delivered, 1 left (is not configured)\n`,
    })
  })
})

describe.each<[string, string, () => number | Promise<number>]>([
  ['that the receiver hangs on', 'no answer within 200 ms', () => new Promise<number>(() => {})],
  ['that a firewall before the receiver answers 403', 'answered 403', () => 403],
])('an event %s', (_, reason, answer) => {
  test('is put aside once others were taken meanwhile, "ism status" counts it, and it may be tried again', async () => {
    backend.answering = ({ data }) => (data.event.message.msgBody.text === 'bad' ? answer() : 204)
    await start({ timeoutMs: 200 })
    await send('bad')
    await send('behind it')
    const other = await bob.createRoom([alice], 'Others')
    await eventually(
      'it is put aside',
      async () => {
        expect((await bob.send(other, 'taken')).status).toBe(200)
        for (const projector of projectors) projector.wake()
        return (await dead()).length === 1
      },
      30_000,
    )
    await backend.next(({ data }) => data.event.message.msgBody.text === 'behind it')
    const [row] = await dead()
    expect(row).toMatchObject({ reason, attempts: MAX_REFUSALS })
    await eventually('the position is past it', async () => (await position()) > Number(row.seq))
    const cwd = await configuredFor(ism)
    expect((await command(['status'], { cwd })).stdout).toContain(`given up: 1 for webhook:${backend.name}`)

    backend.answering = () => 204
    backend.http.closeConnections()
    expect(await webhooks(['retry'])).toMatchObject({ code: 0, stdout: `${backend.name}: 1 delivered, 0 left\n` })
  }, 60_000)
})

test('"ism webhooks retry" gets past an event that has no answer', async () => {
  await start()
  await send('one')
  await send('two')
  const [one, two] = (await backend.count(2)).map(({ received, id }) => JSON.stringify({ id, body: received.body }))
  await ism.sql.query(
    `insert into dead_delivery (target, seq, payload, reason, attempts)
    values ($1, 1, $2, 'answered 403', 20), ($1, 2, $3, 'answered 403', 20)`,
    [`webhook:${backend.name}`, one, two],
  )
  backend.answering = ({ data }) => (data.event.message.msgBody.text === 'one' ? 403 : 204)
  const { stdout } = await webhooks(['retry'])
  expect(stdout).toBe(`${backend.name}: 1 delivered, 1 left (answered 403)\n`)
})

describe('its position', () => {
  test('begins with what comes after it is first configured', async () => {
    await send('before')
    await start()
    await send('after')
    await backend.count(1)
    expect(texts()).toEqual(['after'])
  })

  test('is kept over an end and a new start, also under another URL', async () => {
    const one = await start()
    await send('one')
    await backend.count(1)
    await one.stop()
    await send('two')
    await start({ url: `${backend.http.url}?changed=1` })
    await backend.count(2)
    expect(texts()).toEqual(['one', 'two'])
    expect(backend.deliveries).toHaveLength(2)
  })

  test('is dropped by "ism webhooks forget" once the receiver is no longer configured, and nobody works at it', async () => {
    const one = await start()
    await send('one')
    await backend.count(1)
    expect(await webhooks(['forget', backend.name])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is configured'),
    })
    expect(await webhooks(['forget', backend.name], { configured: false })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('a node still works at'),
    })
    await one.stop()
    const cwd = await configuredFor(ism)
    expect((await command(['status'], { cwd })).stdout).toMatch(
      new RegExp(`webhook:${backend.name}.*not configured: ism webhooks forget ${backend.name}`),
    )
    expect(await webhooks(['forget', backend.name], { configured: false })).toEqual({
      code: 0,
      stdout: `webhook:${backend.name} is forgotten\n`,
      stderr: '',
    })
    expect((await command(['status'], { cwd })).stdout).not.toContain(backend.name)
    expect(await webhooks(['forget', backend.name], { configured: false })).toMatchObject({ code: 1 })
  })

  test('left behind by the log is broken, loudly, and goes on where "ism resume" says', async () => {
    const one = await start()
    await send('had')
    await backend.count(1)
    await backend.stop()
    await send('lost')
    await one.stop()
    await trimLog(ism)
    await backend.start()
    const cwd = await configuredFor(ism)
    const status = JSON.parse((await command(['status', '--json'], { cwd })).stdout)
    const mine = status.projections.find(({ name }: { name: string }) => name === `webhook:${backend.name}`)
    expect(mine.brokenAt).toEqual(expect.any(String))

    await start()
    await send('kept')
    expect(await command(['resume', `webhook:${backend.name}`], { cwd })).toMatchObject({ code: 0 })
    await backend.count(2)
    expect(texts()).toEqual(['had', 'kept'])
  })
})

test('the command refuses what it does not know', async () => {
  expect(await webhooks([])).toMatchObject({ code: 2 })
  expect(await webhooks(['dance'])).toMatchObject({ code: 2 })
  expect(await webhooks(['forget'])).toMatchObject({ code: 2 })
  expect(await webhooks(['discard'])).toMatchObject({ code: 2 })
  for (const action of ['retry', 'discard', 'forget'])
    expect(await webhooks([action, 'nobody'])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('there is no receiver named nobody'),
    })
})
