/** Events for ten thousand people each: read in pages that memory can hold, and without the others for one of them. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Database, openDatabase } from '../../src/infra/postgres.ts'
import { readEvents, readEventsOf } from '../../src/log/log-repository.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Person } from '../support/person.ts'

const [EVENTS, RECIPIENTS] = [60, 10_000]

let ism: TestIsm
let db: Database
let alice: Person
let since: string
beforeAll(async () => {
  ism = await startIsm({ log: { memoryBytes: 8 * 1024 * 1024 } })
  db = openDatabase(ism.config.postgres, { queryStarted() {}, connectionFailed() {} })
  ;[alice] = await ism.people('alice')
  since = (await alice.get('/api/notifications/cursor')).body.lastEventId
  const recipients = [alice.id, ...Array.from({ length: RECIPIENTS - 1 }, () => randomUUID())]
  const client = await ism.sql.connect()
  await client.query('begin; select lock_log()')
  for (let n = 0; n < EVENTS; n++)
    await client.query('select append_event(8::smallint, null, $1, null, null, null, null, null, null, $2)', [
      recipients,
      JSON.stringify({ message: { n } }),
    ])
  await client.query('commit')
  client.release()
})
afterAll(async () => {
  await db.close()
  await ism.stop()
})

test('a page of the log ends early, says that there is more, and nothing is left out', async () => {
  const seen: number[] = []
  for (let after = 0, more = true; more; ) {
    const page = await readEvents(db, after, 1_000)
    expect(page.events.length).toBeLessThanOrEqual(22)
    seen.push(...page.events.map(({ body }) => JSON.parse(body).message.n))
    after = page.events.at(-1)?.seq ?? after
    more = page.more
  }
  expect(seen).toEqual(Array.from({ length: EVENTS }, (_, n) => n))
})

test('a history names nobody but its reader', async () => {
  const all = { after: 0, upTo: Number.MAX_SAFE_INTEGER, limit: 1_000, bytes: Number.MAX_SAFE_INTEGER }
  const { events } = await readEventsOf(db, alice.id, all)
  expect(events.map(({ recipients }) => recipients)).toEqual(Array.from({ length: EVENTS }, () => [alice.id]))
})

test('a stream has them all, in order, from the database and from memory', async () => {
  const stream = await alice.stream(since)
  await stream.until(() => stream.ofType('SystemMessage').length >= EVENTS, 'all of them')
  expect(stream.ofType('SystemMessage').map(({ message }) => message.n)).toEqual(
    Array.from({ length: EVENTS }, (_, n) => n),
  )
})
