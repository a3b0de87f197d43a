/** A log that was nearly empty when PostgreSQL looked at it last: appending costs no more when it has grown since. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { appendMany } from '../support/many-messages.ts'

const MESSAGES = 5_000
/** Pages of 8 KiB; the log has some hundreds, and a send writes into a few. */
const FEW = 100

let ism: TestIsm
beforeAll(async () => {
  ism = await startIsm()
})
afterAll(() => ism.stop())

test('a connection that planned it then reads no more of it', async () => {
  const [alice, bob] = await ism.people('alice', 'bob')
  const roomId = await alice.createRoom([bob], 'Tea')
  const client = await ism.sql.connect()
  try {
    await client.query('analyze event')
    await appendMany(client, roomId, alice.id, 1)
    await appendMany(ism.sql, roomId, alice.id, MESSAGES)
    const { rows } = await client.query(
      `explain (analyze, buffers, format json) select append_sends(array[$1::uuid], array[$2::uuid],
        array[gen_random_uuid()], array[null::uuid], array[1::smallint], array['{"text":"one more"}'], array['{}'])`,
      [roomId, alice.id],
    )
    const [{ Plan: plan }] = rows[0]['QUERY PLAN']
    expect(plan['Shared Hit Blocks'] + plan['Shared Read Blocks']).toBeLessThan(FEW)
  } finally {
    client.release()
  }
})
