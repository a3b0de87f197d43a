/** What was given up is gone with its room, and after the log's retention. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { insertDeadDeliveries } from '../../src/deliveries/dead-delivery-repository.ts'
import { type Database, openDatabase } from '../../src/infra/postgres.ts'
import { archived } from '../support/archive.ts'
import { ism as command, configuredFor } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Person } from '../support/person.ts'
import { PushReceiver, pushed } from '../support/pushes.ts'

const TARGETS = ['push:http', 'webhook:backend']

let receiver: PushReceiver
let ism: TestIsm
let db: Database
let alice: Person
let bob: Person
beforeAll(async () => {
  receiver = await new PushReceiver().start()
  ism = await startIsm({ push: { http: { url: receiver.url, accessToken: undefined }, maxAgeMs: 2_000 } })
  db = openDatabase(ism.config.postgres, { queryStarted() {}, connectionFailed() {} })
  ;[alice, bob] = await ism.people('alice', 'bob')
})
beforeEach(async () => {
  await ism.sql.query('delete from dead_delivery')
})
afterAll(async () => {
  await db.close()
  await ism.stop()
  await receiver.stop()
})

const dead = async () =>
  (await ism.sql.query<{ target: string; payload: string }>('select * from dead_delivery order by id')).rows

/** As a push and as a webhook's event. */
async function giveUp(seq: number, text: string): Promise<void> {
  const payload = JSON.stringify({ to_user: [bob.id], notification: { text } })
  await insertDeadDeliveries(
    db,
    TARGETS.map((target) => ({ target, seq, payload, reason: 'test', attempts: 1 })),
  )
}

async function sent(roomId: string, text: string): Promise<number> {
  const { body } = await alice.send(roomId, text)
  const { rows } = await ism.sql.query('select seq from event where message_id = $1', [body.messageId])
  return Number(rows[0].seq)
}

async function endRoom(roomId: string): Promise<void> {
  for (const person of [alice, bob]) expect((await person.post(`/api/rooms/${roomId}/leave`)).status).toBe(200)
}

it('a room that is deleted takes what was given up of it along, and nothing else', async () => {
  const [roomId, other] = [await alice.createRoom([bob], 'Tea'), await alice.createRoom([bob], 'Cake')]
  await giveUp(await sent(roomId, 'secret'), 'secret')
  await giveUp(await sent(other, 'cake'), 'cake')
  await pushed(ism)
  expect(await dead()).toHaveLength(4)
  await endRoom(roomId)
  expect((await dead()).map(({ target }) => target)).toEqual(TARGETS)
  receiver.received.length = 0
  const cwd = await configuredFor(ism, { top: `push_notification_url = "${receiver.url}"` })
  expect(await command(['push', 'retry'], { cwd })).toMatchObject({
    code: 0,
    stdout: 'push:http: 1 delivered, 0 left\n',
  })
  expect(receiver.received.map(({ body }) => body.includes('cake'))).toEqual([true])
})

it.each([
  ['before it is erased from the log', false],
  ['after it', true],
])('what is given up of a room that is deleted already is not kept, %s', async (_, isErased) => {
  const roomId = await alice.createRoom([bob], 'Tea')
  const seq = await sent(roomId, 'secret')
  await endRoom(roomId)
  if (isErased) await archived(ism)
  await giveUp(seq, 'secret')
  expect(await dead()).toEqual([])
})

it('that somebody has left a room is kept, though it is deleted', async () => {
  const roomId = await alice.createRoom([bob], 'Tea')
  for (const person of [alice, bob]) {
    await person.post(`/api/rooms/${roomId}/leave`)
    const { rows } = await ism.sql.query('select max(seq) as seq from event where type = 4')
    await giveUp(Number(rows[0].seq), 'left')
  }
  await archived(ism)
  expect(await dead()).toHaveLength(4)
})

it('what is too old for a push of a room that is deleted meanwhile is not kept', async () => {
  const roomId = await alice.createRoom([bob], 'Tea')
  await pushed(ism)
  receiver.answer = (_, res) => res.writeHead(503).end()
  receiver.received.length = 0
  await alice.send(roomId, 'secret')
  await eventually('it was tried', async () => receiver.received.length > 0)
  await endRoom(roomId)
  await pushed(ism)
  receiver.answer = undefined
  expect(await dead()).toEqual([])
})

it('what is older than the log keeps events is deleted by maintenance', async () => {
  const roomId = await alice.createRoom([bob], 'Tea')
  await giveUp(await sent(roomId, 'old'), 'old')
  await ism.sql.query("update dead_delivery set died_at = died_at - interval '169 hours'")
  await giveUp(await sent(roomId, 'new'), 'new')
  // A node does it when it starts, where it has the lease.
  await ism.sql.query("update projection set lease_until = now() where name = 'maintenance'")
  const other = await ism.anotherNode()
  await eventually('the old ones are gone', async () => (await dead()).length === 2)
  expect((await dead()).every(({ payload }) => payload.includes('new'))).toBe(true)
  await other.close()
})
