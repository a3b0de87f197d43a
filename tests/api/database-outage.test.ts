/** PostgreSQL out of reach while ISM runs: what is answered meanwhile, and that ISM is back by itself. */
import { EventSource } from 'eventsource'
import pg from 'pg'
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Answer, Person } from '../support/person.ts'
import { expectRefusal } from '../support/refusal.ts'

let ism: TestIsm
let superuser: pg.Client
let alice: Person
let bob: Person
let roomId: string

beforeAll(async () => {
  ism = await startIsm({ metrics: { token: 'metrics-token' } })
  superuser = new pg.Client({ ...inject('postgres'), database: 'postgres' })
  await superuser.connect()
  ;[alice, bob] = await ism.people('alice', 'bob')
  roomId = await alice.createRoom([bob])
})
afterAll(async () => {
  await allowConnections(true)
  await superuser.end()
  await ism.stop()
})

async function allowConnections(allow: boolean): Promise<void> {
  const { database } = ism.config.postgres
  await superuser.query(`alter database ${database} allow_connections ${allow}`)
  if (!allow)
    await superuser.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [database])
}

const ready = async () => {
  const response = await fetch(`${ism.url}/health/ready`)
  return { status: response.status, body: await response.json() }
}
const isReady = () =>
  vi.waitFor(async () => expect((await ready()).status).toBe(200), { timeout: 10_000, interval: 50 })

function expectUnavailable(answer: Answer): void {
  expectRefusal(answer, 'SERVICE_UNAVAILABLE', 'The database is not available.')
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
}

const stores = (postgres: boolean) => [
  { name: 'postgres', required: true, ok: postgres, milliseconds: expect.any(Number) },
  { name: 'messages', required: false, ok: postgres, milliseconds: expect.any(Number) },
  { name: 'objects', required: false, ok: true, milliseconds: expect.any(Number) },
]

test('readiness names the stores', async () => {
  expect(await ready()).toEqual({ status: 200, body: { ready: true, stores: stores(true) } })
})

test('calls answer 503 and say when to come again, and ISM is back without being started anew', async () => {
  const [dora] = [await ism.person('dora')]
  const stream = await bob.stream()
  const sent = await alice.send(roomId, 'before')
  await stream.next(({ type }) => type === 'ChatMessage')
  await allowConnections(false)

  const calls: [string, () => Promise<Answer>][] = [
    ['a known person', () => alice.get('/api/rooms')],
    ['somebody new', () => dora.get('/api/rooms')],
    ['a send', () => alice.send(roomId, 'meanwhile', { clientMessageId: '5b0d1c9e-3f6a-4c83-9a0e-5f1d2c3b4a59' })],
    ['a timeline', () => alice.get(`/api/rooms/${roomId}/timeline?timestamp=9999-01-01T00:00:00Z`)],
    ['a transaction', () => alice.post(`/api/users/friends/add/${bob.id}`)],
    [
      'a new room',
      () =>
        alice.post('/api/rooms/create-room', { roomType: 'Group', roomName: 'x', invitedUsers: [alice.id, bob.id] }),
    ],
    ['what was missed', () => alice.get('/api/notifications?timestamp=2026-01-01T00:00:00Z')],
  ]
  for (const [, call] of calls) expectUnavailable(await call())
  expectUnavailable(await alice.get('/api/users/search?username=b'))
  await vi.waitFor(
    async () => expect(await ready()).toEqual({ status: 503, body: { ready: false, stores: stores(false) } }),
    {
      timeout: 3_000,
    },
  )
  expect(await (await fetch(`${ism.url}/health`)).text()).toBe('Healthy')
  const metrics = await fetch(`${ism.url}/metrics`, { headers: { authorization: 'Bearer metrics-token' } })
  expect(await metrics.text()).toMatch(/^ism_streams 1$/m)
  expect((await alice.get('/api/rooms', { authorization: 'Bearer bad' })).status).toBe(401)

  await allowConnections(true)
  await isReady()
  const again = await alice.send(roomId, 'meanwhile', { clientMessageId: '5b0d1c9e-3f6a-4c83-9a0e-5f1d2c3b4a59' })
  expect(again.status).toBe(200)
  expect((await bob.timeline(roomId)).map(({ messageId }) => messageId)).toEqual([
    again.body.messageId,
    sent.body.messageId,
  ])
  await stream.until(() => stream.ofType('ChatMessage').length === 2, 'the message after the outage')
  expect(stream.ended).toBe(false)
  await vi.waitFor(async () => {
    const { rowCount } = await ism.sql.query(
      "select from pg_stat_activity where datname = current_database() and application_name = 'ism listener'",
    )
    expect(rowCount).toBe(1)
  }, 5_000)
  expect((await dora.get('/api/rooms')).status).toBe(200)
  expect((await alice.post(`/api/users/friends/add/${bob.id}`)).status).toBe(200)
})

test('an EventSource that comes meanwhile is there once PostgreSQL is back', async () => {
  const ticket = await alice.ticket()
  await allowConnections(false)
  const source = new EventSource(`${ism.url}/api/sse?ticket=${ticket}`)
  const opened = new Promise((resolve) => source.addEventListener('cursor', resolve, { once: true }))
  try {
    await new Promise((resolve) => source.addEventListener('error', resolve, { once: true }))
    expectUnavailable(await bob.get('/api/rooms'))
    await allowConnections(true)
    await opened
    expect(source.readyState).toBe(EventSource.OPEN)
  } finally {
    await allowConnections(true)
    source.close()
  }
  await isReady()
})

test('a transaction whose connection is cut answers 503 and leaves nothing half-done', async () => {
  const [carol] = await ism.people('carol')
  const holder = await ism.sql.connect()
  await holder.query('begin')
  await holder.query('select lock_log()')
  const [send, block] = [alice.send(roomId, 'cut off'), carol.post(`/api/users/ignore/${alice.id}`)]
  let cut = 0
  await vi.waitFor(
    async () => {
      const { rowCount } = await superuser.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and wait_event = 'advisory'",
        [ism.config.postgres.database],
      )
      cut += rowCount ?? 0
      expect(cut).toBeGreaterThanOrEqual(2)
    },
    { timeout: 5_000 },
  )
  expectUnavailable(await send)
  expectUnavailable(await block)
  await holder.query('rollback')
  holder.release()
  expect((await alice.timeline(roomId)).map(({ msgBody }) => msgBody.text)).not.toContain('cut off')
  expect((await carol.get(`/api/users/${alice.id}`)).body.relationshipType).toBe(null)
  expect((await alice.send(roomId, 'after')).status).toBe(200)
})
