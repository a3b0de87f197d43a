/** Who is online: who may know, when it shows, on every node, and what is kept of it. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { openDatabase } from '../../src/infra/postgres.ts'
import { NodePresence } from '../../src/presence/node-presence.ts'
import { listNodes, reapNodes } from '../../src/presence/node-repository.ts'
import { onlineOf } from '../../src/presence/presence-repository.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Person } from '../support/person.ts'
import { expectRefusal } from '../support/refusal.ts'

/** Two seconds are promised; a busy machine may be late by as much. */
const KNOWN_MS = 4_000

let ism: TestIsm
let db: ReturnType<typeof openDatabase>
beforeAll(async () => {
  ism = await startIsm()
  db = openDatabase(ism.config.postgres, { queryStarted() {}, connectionFailed() {} })
})
afterAll(async () => {
  await db.close()
  await ism.stop()
})

const presenceOf = (viewer: Person, { id }: { id: string }) => viewer.get(`/api/users/${id}/presence`)

async function expectPresence(viewer: Person, person: Person, wanted: unknown): Promise<void> {
  await vi.waitFor(async () => expect((await presenceOf(viewer, person)).body).toEqual(wanted), {
    timeout: KNOWN_MS,
    interval: 50,
  })
}

const ONLINE = { online: true, lastSeenAt: null }
const NEVER = { online: false, lastSeenAt: null }
const SEEN = { online: false, lastSeenAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) }

async function befriend(one: Person, other: Person): Promise<void> {
  expect((await one.post(`/api/users/friends/add/${other.id}`)).status).toBe(200)
  expect((await other.post(`/api/users/friends/accept-request/${one.id}`)).status).toBe(200)
}

test('friends see it, as does oneself; the stream that ends last leaves a time', async () => {
  const [alice, bob, witness] = await ism.people('alice', 'bob', 'witness')
  await befriend(alice, bob)
  expect(await presenceOf(alice, bob)).toMatchObject({ status: 200, body: NEVER })
  const [one, two] = [await bob.stream(), await bob.stream()]
  await witness.stream()
  await expectPresence(alice, bob, ONLINE)
  await expectPresence(bob, bob, ONLINE)
  one.close()
  witness.closeStreams()
  await expectPresence(witness, witness, SEEN)
  expect((await presenceOf(alice, bob)).body).toEqual(ONLINE)
  const before = Date.now()
  two.close()
  await expectPresence(alice, bob, SEEN)
  const { body } = await presenceOf(alice, bob)
  expect(Date.parse(body.lastSeenAt)).toBeGreaterThanOrEqual(before)
  expect(Date.parse(body.lastSeenAt)).toBeLessThan(before + KNOWN_MS)
})

test('present members of a common room see it, strangers and former members do not', async () => {
  const [alice, bob, carol] = await ism.people('alice', 'bob', 'carol')
  expectRefusal(
    await presenceOf(alice, bob),
    'INSUFFICIENT_PERMISSIONS',
    'Only friends and members of a common room see whether somebody is online.',
  )
  // An invitation that nobody took up says nothing.
  await alice.post(`/api/users/friends/add/${bob.id}`)
  expect((await presenceOf(alice, bob)).status).toBe(403)
  expect((await presenceOf(bob, alice)).status).toBe(403)
  const roomId = await alice.createRoom([bob, carol], 'Tea')
  expect((await presenceOf(alice, bob)).status).toBe(200)
  expect((await presenceOf(carol, bob)).status).toBe(200)
  await bob.post(`/api/rooms/${roomId}/leave`)
  expect((await presenceOf(carol, bob)).status).toBe(403)
  expect((await presenceOf(bob, carol)).status).toBe(403)
})

test('a block hides it both ways, from friends and room mates too', async () => {
  const [alice, bob, carol] = await ism.people('alice', 'bob', 'carol')
  await befriend(alice, bob)
  await alice.createRoom([bob, carol], 'Tea')
  await alice.post(`/api/users/ignore/${bob.id}`)
  expect((await presenceOf(alice, bob)).status).toBe(403)
  expect((await presenceOf(bob, alice)).status).toBe(403)
  expect((await presenceOf(carol, bob)).status).toBe(200)
})

test('nobody has none', async () => {
  const [alice, gone] = await ism.people('alice', 'gone')
  await befriend(alice, gone)
  await ism.sql.query('update app_user set deleted_at = now() where id = $1', [gone.id])
  expectRefusal(await presenceOf(alice, gone), 'CONTENT_NOT_FOUND', 'User not found.')
  expectRefusal(await presenceOf(alice, { id: randomUUID() }), 'CONTENT_NOT_FOUND', 'User not found.')
  expect((await alice.get('/api/users/nobody/presence')).status).toBe(400)
})

test('every node knows of it; one that stops takes its people with it at once', async () => {
  const other = await ism.anotherNode()
  const [alice, bob, witness] = await ism.people('alice', 'bob', 'witness')
  await befriend(alice, bob)
  await witness.stream()
  const aliceThere = alice.at(`http://127.0.0.1:${other.address.port}`)
  await bob.stream()
  await expectPresence(aliceThere, bob, ONLINE)
  const elsewhere = await bob.at(aliceThere.url).stream()
  bob.closeStreams()
  witness.closeStreams()
  await expectPresence(witness, witness, SEEN)
  await expectPresence(alice, bob, ONLINE)
  await other.close()
  await elsewhere.until(() => elsewhere.ended, 'its end')
  expect((await presenceOf(alice, bob)).body).toEqual(SEEN)
  // What it left behind becomes the time as which it shows already.
  const { lastSeenAt } = (await presenceOf(alice, bob)).body
  await reapNodes(db)
  expect((await presenceOf(alice, bob)).body).toEqual({ online: false, lastSeenAt })
  expect(await listNodes(db)).toHaveLength(1)
})

test('a node whose lease was lost, or that PostgreSQL has forgotten, tells all of it anew', async () => {
  const [alice, bob] = await ism.people('alice', 'bob')
  await befriend(alice, bob)
  await bob.stream()
  await expectPresence(alice, bob, ONLINE)
  // Its next beat would tell of them again: it waits for this.
  const sql = await ism.sql.connect()
  await sql.query('begin; lock table presence in exclusive mode')
  await ism.sql.query(`update node set ended = true, lease_until = now() - interval '1 second'`)
  expect((await presenceOf(alice, bob)).body).toEqual(SEEN)
  await sql.query('rollback')
  sql.release()
  await reapNodes(db)
  await vi.waitFor(async () => expect((await presenceOf(alice, bob)).body).toEqual(ONLINE), 8_000)
  // What a crash of PostgreSQL does to tables that are not logged.
  await ism.sql.query('truncate node, presence')
  await vi.waitFor(async () => expect((await presenceOf(alice, bob)).body).toEqual(ONLINE), 8_000)
})

test('who of many is online is one question, and 10,000 who come at once are a few short statements', async () => {
  const ids = Array.from({ length: 10_000 }, () => randomUUID())
  const statements: string[] = []
  const counted = openDatabase(ism.config.postgres, {
    queryStarted: (name) => statements.push(name),
    connectionFailed() {},
  })
  const slowest = { milliseconds: 0 }
  const timed: typeof counted = {
    ...counted,
    async query(name, text, values) {
      const started = performance.now()
      const rows = await counted.query(name, text, values)
      slowest.milliseconds = Math.max(slowest.milliseconds, performance.now() - started)
      return rows as never
    },
  }
  const node = new NodePresence(
    timed,
    { name: 'storm', holder: randomUUID(), tailSeq: () => 0 },
    { tailLagged() {}, presenceFailed: (error) => expect.fail(String(error)) },
  )
  node.start()
  for (const id of ids) node.arrived(id)
  await vi.waitFor(async () => expect((await onlineOf(db, ids)).size).toBe(10_000), 8_000)
  expect(statements.length).toBeLessThan(12)
  expect(slowest.milliseconds).toBeLessThan(2_000)
  expect(await onlineOf(db, [...ids.slice(0, 3), randomUUID()])).toEqual(new Set(ids.slice(0, 3)))
  for (const id of ids.slice(5)) node.left(id)
  await vi.waitFor(async () => expect((await onlineOf(db, ids)).size).toBe(5), 8_000)
  await node.stop()
  expect((await onlineOf(db, ids)).size).toBe(0)
  await counted.close()
})
