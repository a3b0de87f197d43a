/** Somebody in very many rooms who was away: what was missed comes page by page, once and in order, and cheaply. */
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Queryable } from '../../src/infra/postgres.ts'
import type { LogEvent } from '../../src/log/event.ts'
import { readEventsOf } from '../../src/log/log-repository.ts'
import { appendSystemMessage } from '../support/hearing.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { appendMany } from '../support/many-messages.ts'
import type { Person } from '../support/person.ts'

const ROOMS = 1_000
const EACH = 20
/** Messages of others in a row: many times a page. */
const OF_OTHERS = 9_000
const LIMIT = 250

let ism: TestIsm
let alice: Person
let bob: Person
beforeAll(async () => {
  ism = await startIsm({ log: { memoryBytes: 1 } })
  const people = await ism.people('alice', 'bob', 'carol', 'dora')
  ;[alice, bob] = people
  const [, , carol, dora] = people
  const elsewhere = await carol.createRoom([dora])
  await makeRooms()
  for (let turn = 0; turn < EACH; turn++) {
    await sendToEachRoom()
    if (turn !== EACH / 2) continue
    const [room] = (await alice.get('/api/rooms')).body
    expect((await alice.post(`/api/rooms/${room.id}/mark-read`)).status).toBe(200)
    for (let sent = 0; sent < OF_OTHERS; sent += 500) await appendMany(ism.sql, elsewhere, carol.id, 500)
    await appendSystemMessage(ism, [alice, carol], 'in the midst of it')
  }
}, 60_000)
afterAll(() => ism.stop())

async function makeRooms(): Promise<void> {
  await ism.sql.query(
    `with room as (
      insert into chat_room (id, created_at, room_type, room_name)
      select gen_random_uuid(), now(), 'Group', 'one of many' from generate_series(1, $3) returning id),
    member as (
      insert into chat_room_participant (room_id, user_id, joined_at, participant_state)
      select room.id, u.id, now(), 'Joined' from room cross join unnest(array[$1::uuid, $2::uuid]) as u(id))
    insert into room_membership (room_id, user_id, from_seq)
    select room.id, u.id, 0 from room cross join unnest(array[$1::uuid, $2::uuid]) as u(id)`,
    [alice.id, bob.id, ROOMS],
  )
}

async function sendToEachRoom(): Promise<void> {
  await ism.sql.query(
    `select append_sends(array(select room_id from room_membership where user_id = $1 order by room_id), array_fill($1::uuid, array[$2::int]),
      array(select gen_random_uuid() from generate_series(1, $2)), array_fill(null::uuid, array[$2]),
      array_fill(1::smallint, array[$2]), array_fill('{"text":"many"}'::text, array[$2]),
      array_fill('{"type":"Text","sender_username":"many","text":"many"}'::text, array[$2]))`,
    [bob.id, ROOMS],
  )
}

/** All pages, each over `db`. */
async function readAll(db: Queryable): Promise<number[]> {
  const upTo = Number((await ism.sql.query('select max(seq) as head from event')).rows[0].head)
  const seqs: number[] = []
  for (let after = 0, more = true; more; ) {
    const page: { events: LogEvent[]; more: boolean } = await readEventsOf(db, alice.id, {
      after,
      upTo,
      limit: LIMIT,
      bytes: 1e6,
    })
    seqs.push(...page.events.map(({ seq }) => Number(seq)))
    more = page.more
    after = seqs.at(-1) ?? after
  }
  return seqs
}

test('in a thousand rooms all of it comes once, in order, though others said much in between', {
  timeout: 120_000,
}, async () => {
  const seqs = await readAll({ query: async (_, text, values) => (await ism.sql.query(text, values)).rows })
  const wanted = await ism.sql.query(
    `select seq from event e where recipients @> array[$1::uuid]
      or recipients is null and exists (select from room_membership m where m.user_id = $1 and m.room_id = e.room_id)
    order by e.seq`,
    [alice.id],
  )
  expect(seqs).toEqual(wanted.rows.map(({ seq }) => Number(seq)))
  // What was read, and what the backend said, are among them.
  expect(seqs).toHaveLength(ROOMS * EACH + 2)
})

test('where the log is long and they were quiet, that is found too', async () => {
  const db: Queryable = { query: async (_, text, values) => (await ism.sql.query(text, values)).rows }
  const head = Number((await ism.sql.query('select max(seq) as head from event')).rows[0].head)
  const page = { after: head, upTo: 1e12, limit: LIMIT, bytes: 1e6 }
  expect(await readEventsOf(db, alice.id, page)).toEqual({ events: [], more: false })
})

test('a page of it reads a few times as many events as it gives', { timeout: 120_000 }, async () => {
  const client = await ism.sql.connect()
  const rowsRead: number[] = []
  try {
    await readAll({
      async query(_, text, values) {
        await client.query('begin')
        const before = await eventsRead(client)
        const { rows } = await client.query(text, values)
        rowsRead.push((await eventsRead(client)) - before)
        await client.query('commit')
        return rows
      },
    })
  } finally {
    client.release()
  }
  rowsRead.sort((one, other) => one - other)
  expect(rowsRead[rowsRead.length >> 1], `the median of ${rowsRead}`).toBeLessThan(8 * LIMIT)
  // Where others said much in between, the next page is found in steps, of which the last goes too far.
  expect(rowsRead.at(-1), `the most of ${rowsRead}`).toBeLessThan(ROOMS * EACH)
})

/** By the transaction so far. */
async function eventsRead(client: pg.PoolClient): Promise<number> {
  const { rows } = await client.query(
    `select sum(seq_tup_read + idx_tup_fetch)::int as count from pg_stat_xact_user_tables where relname ~ '^event_\\d'`,
  )
  return rows[0].count
}
