/** Behind a transaction pooler: no session to listen in or to keep statements in, and nothing lost by it. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startIsm, type TestIsm } from '../support/ism.ts'

let ism: TestIsm
beforeAll(async () => {
  ism = await startIsm({ postgres: { transactionPooler: true } })
})
afterAll(() => ism.stop())

test('what another node appends is found by polling', async () => {
  const other = await ism.anotherNode()
  try {
    const [alice, bob] = await ism.people('alice', 'bob')
    const stream = await bob.stream()
    const aliceThere = alice.at(`http://127.0.0.1:${other.address.port}`)
    const roomId = await aliceThere.createRoom([bob])
    const { body } = await aliceThere.send(roomId, 'Hello')
    const heard = await stream.next(({ type }) => type === 'ChatMessage')
    expect(heard['message']).toEqual(body)
  } finally {
    await other.close()
  }
})

test('the database keeps no listener of ISM', async () => {
  const { rows } = await ism.sql.query(
    `select count(*)::int as listeners from pg_stat_activity
    where datname = current_database() and application_name = 'ism listener'`,
  )
  expect(rows).toEqual([{ listeners: 0 }])
})
