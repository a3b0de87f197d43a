/** The message store's contract, by the adapter that keeps messages in Cassandra, and what is its own. */
import { randomUUID } from 'node:crypto'
import type cassandra from 'cassandra-driver'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { Cassandra } from '../../src/infra/cassandra.ts'
import { openKeyspace } from '../../src/infra/cassandra-schema.ts'
import type { MessageRow } from '../../src/log/event-json.ts'
import { CassandraMessageStore } from '../../src/messages/message-store-cassandra.ts'
import { describeMessageStore } from '../contract/message-store.contract.ts'
import { createKeyspace, type TestKeyspace } from '../support/keyspace.ts'
import { messageRow } from '../support/message-row.ts'
import { describeWith } from '../support/services.ts'

const WEEK = 7 * 24 * 3_600_000
const NOW = Date.parse('2026-01-31T12:00:00.000Z')

describeWith(['ISM_TEST_CASSANDRA'], 'Cassandra', ({ ISM_TEST_CASSANDRA: address }) => {
  let keyspace: TestKeyspace
  let cassandra: Cassandra
  let store: CassandraMessageStore
  let reads: string[] = []
  let writes: number[] = []

  beforeAll(async () => {
    keyspace = await createKeyspace(address)
    cassandra = new Cassandra(() => openKeyspace(keyspace.config, () => {}))
    const { read, write } = cassandra
    cassandra.read = (query, params) => {
      reads.push(query)
      return read.call(cassandra, query, params)
    }
    cassandra.write = (statements) => {
      writes.push(statements.length)
      return write.call(cassandra, statements)
    }
    store = new CassandraMessageStore(cassandra, 0)
  })
  afterAll(async () => {
    await cassandra.close()
    await keyspace.drop()
  })

  describeMessageStore('Cassandra', async () => ({
    store,
    createRoom: async () => randomUUID(),
    endRoom: async () => {},
    close: async () => {},
  }))

  // A page may be shorter than was asked for and have others after it, as those of ScyllaDB, which end at 1 MB.
  describeMessageStore('Cassandra, where each answer brings two rows', async () => {
    const shortPages = new Cassandra(async () => {
      const client = await openKeyspace(keyspace.config, () => {})
      Object.assign((client as unknown as { options: cassandra.ClientOptions }).options.queryOptions ?? {}, {
        fetchSize: 2,
      })
      return client
    })
    return {
      store: new CassandraMessageStore(shortPages, 0),
      createRoom: async () => randomUUID(),
      endRoom: async () => {},
      close: () => shortPages.close(),
    }
  })

  async function readsOf(work: () => Promise<unknown>): Promise<number> {
    reads = []
    await work()
    return reads.length
  }

  it('opens the last page of a busy room with two reads, silent for years or not', async () => {
    const roomId = randomUUID()
    const years = NOW - 3 * 365 * 24 * 3_600_000
    await store.append(Array.from({ length: 60 }, (_, i) => messageRow(roomId, years + i)))
    await store.page({ roomId, before: new Date(NOW), limit: 25 })
    const page = () => store.page({ roomId, before: new Date(NOW), limit: 25 })
    expect(await readsOf(page)).toBe(2)
    expect(await page()).toHaveLength(25)
  })

  it('reads no more buckets than the page has messages, however long the room was silent between them', async () => {
    const roomId = randomUUID()
    await store.append(Array.from({ length: 200 }, (_, i) => messageRow(roomId, NOW - i * 5 * WEEK)))
    let page: MessageRow[] = []
    const count = await readsOf(async () => {
      page = await store.page({ roomId, before: new Date(NOW + 1), limit: 25 })
    })
    expect(page).toHaveLength(25)
    // The list of buckets, then 1, 2, 4, 8 and 10 buckets.
    expect(count).toBeLessThanOrEqual(1 + 26)
  })

  it('writes many messages of a room in few batches, which stay small', async () => {
    const roomId = randomUUID()
    await store.append([messageRow(roomId, NOW)])
    writes = []
    await store.append(Array.from({ length: 500 }, (_, i) => messageRow(roomId, NOW + i)))
    expect(writes.length).toBeLessThanOrEqual(10)
    writes = []
    const long = JSON.stringify({ text: 'x'.repeat(16_000) })
    await store.append(Array.from({ length: 20 }, (_, i) => messageRow(roomId, NOW + i, { body: long })))
    expect(writes.length).toBeGreaterThanOrEqual(10)
  })

  it('lists a bucket once', async () => {
    const roomId = randomUUID()
    writes = []
    for (let i = 0; i < 3; i++) await store.append([messageRow(roomId, NOW + i)])
    expect(writes).toHaveLength(4)
    const { rows } = await keyspace.client.execute('select bucket from room_bucket where room_id = ?', [roomId], {
      prepare: true,
    })
    expect(rows).toHaveLength(1)
  })

  it('lists a bucket again where a node went away, which may have lost the list with the messages', async () => {
    const roomId = randomUUID()
    const lost = [messageRow(roomId, NOW), messageRow(roomId, NOW + 1)]
    const { write } = cassandra
    cassandra.write = async () => {}
    await store.append(lost)
    cassandra.write = write
    vi.spyOn(cassandra, 'interruptions', 'get').mockReturnValue(cassandra.interruptions + 1)
    await store.append(lost)
    vi.restoreAllMocks()
    expect(await store.page({ roomId, before: new Date(NOW * 2), limit: 25 })).toEqual(lost.reverse())
  })

  it('leaves nothing of a deleted room in any table', async () => {
    const roomId = randomUUID()
    await store.append(Array.from({ length: 30 }, (_, i) => messageRow(roomId, NOW - i * 3 * WEEK)))
    await store.deleteRoom(roomId, new Date())
    for (const table of ['message', 'room_bucket']) {
      const { rows } = await keyspace.client.execute(`select room_id from ${table}`, [], { fetchSize: 100_000 })
      expect(rows.filter((row) => row['room_id'].toString() === roomId)).toEqual([])
    }
  })

  it('deletes also what was written ahead of the clock that the end was logged by', async () => {
    const roomId = randomUUID()
    const ahead = messageRow(roomId, NOW + 60_000)
    await store.append([messageRow(roomId, NOW), ahead])
    await store.deleteRoom(roomId, new Date(NOW))
    await store.append([ahead])
    expect(await store.page({ roomId, before: new Date(NOW * 2), limit: 25 })).toEqual([])
  })
})
