/** Somebody in very many rooms who was away: what was missed comes page by page, once and in order. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDatabase } from '../../src/infra/postgres.ts'
import type { LogEvent } from '../../src/log/event.ts'
import { readEventsOf } from '../../src/log/log-repository.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'

const ROOMS = 1_000
const EACH = 20

let ism: TestIsm
beforeAll(async () => {
  ism = await startIsm({ log: { memoryBytes: 1 } })
})
afterAll(() => ism.stop())

/** The rooms as rows, then messages: one to each room in turn. */
async function fill(userId: string, senderId: string): Promise<void> {
  await ism.sql.query(
    `with room as (
      insert into chat_room (id, created_at, room_type, room_name)
      select gen_random_uuid(), now(), 'Group', 'one of many' from generate_series(1, $3) returning id),
    member as (
      insert into chat_room_participant (room_id, user_id, joined_at, participant_state)
      select room.id, u.id, now(), 'Joined' from room cross join unnest(array[$1::uuid, $2::uuid]) as u(id))
    insert into room_membership (room_id, user_id, from_seq)
    select room.id, u.id, 0 from room cross join unnest(array[$1::uuid, $2::uuid]) as u(id)`,
    [userId, senderId, ROOMS],
  )
  for (let turn = 0; turn < EACH; turn++)
    await ism.sql.query(
      `select append_sends(array(select room_id from room_membership where user_id = $1 order by room_id), array_fill($1::uuid, array[$2::int]),
        array(select gen_random_uuid() from generate_series(1, $2)), array_fill(null::uuid, array[$2]),
        array_fill(1::smallint, array[$2]), array_fill('{"text":"many"}'::text, array[$2]),
        array_fill('{"type":"Text","sender_username":"many","text":"many"}'::text, array[$2]))`,
      [senderId, ROOMS],
    )
}

test('in a thousand rooms all of it comes once, in order', { timeout: 120_000 }, async () => {
  const [alice, bob] = await ism.people('alice', 'bob')
  await fill(alice.id, bob.id)
  const db = openDatabase(ism.config.postgres, { queryStarted() {}, connectionFailed() {} })
  const { rows } = await ism.sql.query('select max(seq)::int as head from event')
  const seqs: number[] = []
  for (let after = 0, more = true; more; ) {
    const page: { events: LogEvent[]; more: boolean } = await readEventsOf(db, alice.id, {
      after,
      upTo: rows[0].head,
      limit: 250,
      bytes: 1e6,
    })
    seqs.push(...page.events.map(({ seq }) => seq))
    more = page.more
    after = seqs.at(-1) ?? after
  }
  await db.close()
  const wanted = await ism.sql.query('select seq::int from event where sender_id = $1 order by seq', [bob.id])
  expect(seqs).toEqual(wanted.rows.map(({ seq }) => seq))
  expect(seqs).toHaveLength(ROOMS * EACH)
})
