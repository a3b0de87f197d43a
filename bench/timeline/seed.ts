/** Rooms with a long past, all of it archived, as a store has it whose log was trimmed since. */
import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import type { CassandraConfig } from '../../src/config/config.ts'
import { Cassandra } from '../../src/infra/cassandra.ts'
import { openKeyspace } from '../../src/infra/cassandra-schema.ts'
import { MessageType } from '../../src/log/event.ts'
import { CassandraMessageStore } from '../../src/messages/message-store-cassandra.ts'

export type Past = {
  roomId: string
  senderId: string
  count: number
  /** In milliseconds since the epoch; message `n`, from 1, is `n * STEP_MS` later. */
  beginning: number
}

/** So that a million messages are a year. */
export const STEP_MS = 31_000
const TEXT = 'The quick brown fox jumps over the lazy dog, and the dog does not mind it at all.'
/** Rows that are made and on their way at once. */
const SLICE = 5_000

export function pastOf(roomId: string, senderId: string, count: number): Past {
  return { roomId, senderId, count, beginning: Date.now() - (count + 1) * STEP_MS }
}

export async function seedPostgres(sql: pg.Client, past: Past): Promise<void> {
  await sql.query(
    `insert into message (room_id, created_at, message_id, room_seq, sender_id, message_type, body)
    select $1, to_timestamp(($4 + n * ${STEP_MS}) / 1000.0), gen_random_uuid(), n, $2, ${MessageType.Text}, $5
    from generate_series(1, $3::bigint) n`,
    [past.roomId, past.senderId, past.count, past.beginning, JSON.stringify({ text: TEXT })],
  )
  await seedHead(sql, past)
  await sql.query('vacuum analyze message')
}

export async function seedCassandra(config: CassandraConfig, sql: pg.Client, past: Past): Promise<void> {
  const cassandra = new Cassandra(() => openKeyspace(config, () => {}))
  await cassandra.connect()
  const store = new CassandraMessageStore(cassandra, 0)
  try {
    for (let first = 1; first <= past.count; first += SLICE)
      await store.append(
        Array.from({ length: Math.min(SLICE, past.count - first + 1) }, (_, n) => ({
          roomId: past.roomId,
          messageId: randomUUID(),
          senderId: past.senderId,
          clientMessageId: null,
          messageType: MessageType.Text,
          roomSeq: first + n,
          createdAt: new Date(past.beginning + (first + n) * STEP_MS),
          body: JSON.stringify({ text: TEXT }),
        })),
      )
  } finally {
    await cassandra.close()
  }
  await seedHead(sql, past)
}

/** What the room's row says once the log has nothing of it any more. */
async function seedHead(sql: pg.Client, { roomId, count, beginning }: Past): Promise<void> {
  await sql.query('update chat_room set room_seq = $2, latest_message = $3 where id = $1', [
    roomId,
    count,
    new Date(beginning + count * STEP_MS),
  ])
}
