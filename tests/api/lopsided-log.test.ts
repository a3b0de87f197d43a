/** A log that a few rooms have written: what is asked about the others costs no more for it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { listRooms } from '../../src/rooms/room-repository.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { appendMany } from '../support/many-messages.ts'
import type { Person } from '../support/person.ts'

const BUSY_ROOMS = 3
const MESSAGES = 5_000
/** Pages of 8 KiB; the log has some hundreds. */
const FEW = 50

let ism: TestIsm
let alice: Person
let bob: Person
let busyRoom: string
let quietRoom: string
let unwrittenRoom: string
beforeAll(async () => {
  ism = await startIsm()
  ;[alice, bob] = await ism.people('alice', 'bob')
  quietRoom = await alice.createRoom([bob], 'Quiet')
  await alice.send(quietRoom, 'the only one')
  unwrittenRoom = await alice.createRoom([bob], 'Unwritten')
  for (let n = 0; n < BUSY_ROOMS; n++) {
    busyRoom = await alice.createRoom([bob], `Busy ${n}`)
    await appendMany(ism.sql, busyRoom, alice.id, MESSAGES)
  }
  await ism.sql.query('analyze event')
})
afterAll(() => ism.stop())

/** As a connection asks for it that has planned it for nobody in particular. */
async function pagesOfRoomList(person: Person): Promise<number> {
  const client = await ism.sql.connect()
  try {
    let pages = 0
    const query = async (_: string, text: string) => {
      await client.query(`set plan_cache_mode = force_generic_plan; prepare list (uuid) as ${text}`)
      await client.query(`execute list ('${person.id}')`)
      const { rows } = await client.query(`explain (analyze, buffers, format json) execute list ('${person.id}')`)
      const [{ Plan: plan }] = rows[0]['QUERY PLAN']
      pages = plan['Shared Hit Blocks'] + plan['Shared Read Blocks']
      return []
    }
    await listRooms({ query }, person.id)
    return pages
  } finally {
    client.release(true)
  }
}

/** Of an answer that does not have to be planned any more. */
async function pagesReadBy(statement: string): Promise<number> {
  const client = await ism.sql.connect()
  try {
    await client.query(statement)
    const { rows } = await client.query(`explain (analyze, buffers, format json) ${statement}`)
    const [{ Plan: plan }] = rows[0]['QUERY PLAN']
    return plan['Shared Hit Blocks'] + plan['Shared Read Blocks']
  } finally {
    client.release()
  }
}

describe.each([
  ['with one old message', () => quietRoom],
  ['without any', () => unwrittenRoom],
  ['that is busy', () => busyRoom],
])('of a room %s', (_, room) => {
  test('the newest message is found at once', async () => {
    expect(await pagesReadBy(`select * from room_head('${room()}')`)).toBeLessThan(FEW)
  })

  test('and how far somebody has read who never wrote', async () => {
    expect(await pagesReadBy(`select * from member_read('${room()}', '${bob.id}')`)).toBeLessThan(FEW)
  })

  test('and a page of it', async () => {
    const page = `select * from event e where e.room_id = '${room()}' and e.room_seq is not null order by e.seq desc limit 26`
    expect(await pagesReadBy(page)).toBeLessThan(FEW)
  })
})

test('a list of rooms costs each of them a few pages, also when the next partition fills', async () => {
  const rooms = (await bob.get('/api/rooms')).body.length
  expect(await pagesOfRoomList(bob)).toBeLessThan(rooms * FEW)
  await ism.sql.query(`select setval('event_seq', (select to_seq from event_partition order by 1 limit 1))`)
  await appendMany(ism.sql, busyRoom, alice.id, MESSAGES)
  expect(await pagesOfRoomList(bob)).toBeLessThan(rooms * FEW)
  await ism.sql.query('analyze event')
  expect(await pagesOfRoomList(bob)).toBeLessThan(rooms * FEW)
})
