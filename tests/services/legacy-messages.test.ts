/** The table that ISM 0.7.9 left: a room's timeline runs on from ISM's own messages into it. */
import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Cassandra } from '../../src/infra/cassandra.ts'
import { openKeyspace } from '../../src/infra/cassandra-schema.ts'
import { MessageType } from '../../src/log/event.ts'
import type { MessageRow } from '../../src/log/event-json.ts'
import { CassandraMessageStore } from '../../src/messages/message-store-cassandra.ts'
import { createKeyspace, type TestKeyspace } from '../support/keyspace.ts'
import { messageRow } from '../support/message-row.ts'
import { describeWith } from '../support/services.ts'

const START = Date.parse('2026-01-31T12:00:00.000Z')
const FUTURE = new Date('9999-01-01T00:00:00Z')

/** `at`: milliseconds after START. */
const message = (roomId: string, at: number, fields?: Partial<MessageRow>) => messageRow(roomId, START + at, fields)

describeWith(['ISM_TEST_CASSANDRA'], 'messages of ISM 0.7.9', ({ ISM_TEST_CASSANDRA: address }) => {
  let keyspace: TestKeyspace
  let cassandra: Cassandra
  let store: CassandraMessageStore

  beforeAll(async () => {
    keyspace = await createKeyspace(address)
    await keyspace.client.execute(
      `create table chat_messages (chat_room_id uuid, message_id uuid, sender_id uuid, msg_body text, msg_type text,
        created_at timestamp, primary key ((chat_room_id), created_at, message_id))`,
    )
    cassandra = new Cassandra(() => openKeyspace(keyspace.config, () => {}))
    store = new CassandraMessageStore(cassandra, 0)
  })
  afterAll(async () => {
    await cassandra.close()
    await keyspace.drop()
  })

  const writeLegacy = (messages: MessageRow[], type = 'Text') =>
    Promise.all(
      messages.map(({ roomId, messageId, senderId, body, createdAt }) =>
        keyspace.client.execute(
          `insert into chat_messages (chat_room_id, message_id, sender_id, msg_body, msg_type, created_at)
          values (?, ?, ?, ?, ?, ?)`,
          [roomId, messageId, senderId, body, type, createdAt],
          { prepare: true },
        ),
      ),
    )
  const pageOf = (roomId: string, before = FUTURE, limit = 25) => store.page({ roomId, before, limit })
  const ids = (messages: MessageRow[]) => messages.map(({ messageId }) => messageId)

  async function walk(roomId: string, limit: number): Promise<MessageRow[]> {
    const messages: MessageRow[] = []
    for (let before: Date | undefined = FUTURE; before; ) {
      const page: MessageRow[] = await pageOf(roomId, before, limit)
      messages.push(...page)
      before = page.length < limit ? undefined : page.at(-1)?.createdAt
    }
    return messages
  }

  it.each(['Text', 'Media', 'Reply', 'RoomChange'] as const)('of type %s is read as it was stored', async (type) => {
    const stored = message(randomUUID(), 0, { messageType: MessageType[type], body: '{ "any" : "Zoë 😀" }' })
    await writeLegacy([stored], type)
    expect(await pageOf(stored.roomId)).toEqual([stored])
    expect(await store.find(stored.roomId, stored.createdAt, stored.messageId)).toEqual(stored)
    expect(await store.find(stored.roomId, stored.createdAt, randomUUID())).toBeUndefined()
  })

  it('whose body is no JSON does not spoil its page', async () => {
    const stored = message(randomUUID(), 0, { body: 'no "JSON' })
    await writeLegacy([stored])
    expect(await pageOf(stored.roomId)).toEqual([{ ...stored, body: '{"text":"no \\"JSON"}' }])
  })

  it('follow on ours without a seam, a repeat or a hole, wherever the pages fall', async () => {
    const at = fc.integer({ min: 0, max: 20 })
    await fc.assert(
      fc.asyncProperty(
        fc.array(at, { maxLength: 40 }),
        fc.array(at, { maxLength: 40 }),
        // How far ours are after the newest possible one; where the old server's clock was ahead, the two touch or overlap.
        fc.constantFrom(-15, 0, 1, 400 * 24 * 3_600_000),
        fc.integer({ min: 1, max: 10 }),
        async (legacyTimes, ownTimes, gap, limit) => {
          const roomId = randomUUID()
          const legacy = legacyTimes.map((time) => message(roomId, time))
          const own = [...new Set(ownTimes)].map((time, n) => message(roomId, 20 + gap + time, { roomSeq: n }))
          await writeLegacy(legacy)
          await store.append(own)
          const walked = await walk(roomId, limit)
          expect(ids(walked).sort()).toEqual(ids([...legacy, ...own]).sort())
          const times = walked.map(({ createdAt }) => createdAt.getTime())
          expect(times).toEqual([...times].sort((a, b) => b - a))
        },
      ),
      { numRuns: 40 },
    )
  })

  it('go away with their room', async () => {
    const roomId = randomUUID()
    await writeLegacy([message(roomId, 0), message(roomId, 1)])
    await store.append([message(roomId, 2)])
    await store.deleteRoom(roomId, new Date())
    expect(await pageOf(roomId)).toEqual([])
  })
})
