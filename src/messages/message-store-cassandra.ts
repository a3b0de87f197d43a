/** Messages in Cassandra or ScyllaDB: a partition for each week that a room has messages in. */
import { LRUCache } from 'lru-cache'
import type { Cassandra, Row, Statement } from '../infra/cassandra.ts'
import type { MessageRow } from '../log/event-json.ts'
import type { Settling } from '../log/projector.ts'
import { cutAtTie } from './cut-at-tie.ts'
import { LegacyMessages } from './legacy-messages.ts'
import type { MessageStore, PageRequest } from './message-store.ts'

/** Wide enough that a page of a quiet room needs few partitions, narrow enough that a busy one's stay below 100 MB. */
const BUCKET_MS = 7 * 24 * 3_600_000

const COLUMNS = 'room_id, message_id, sender_id, client_message_id, message_type, room_seq, created_at, body'

/*
 * The write time of a row is the message's createdAt: what is written twice is the same, and a deletion, whose time is
 * after all messages of the room, wins over a write that comes late.
 */
const INSERT = `insert into message (${COLUMNS}, bucket) values (?, ?, ?, ?, ?, ?, ?, ?, ?) using timestamp ?`
const INSERT_BUCKET = 'insert into room_bucket (room_id, bucket) values (?, ?) using timestamp ?'

const WRITES_IN_FLIGHT = 64
/** Rows of one partition go in one batch; well below the sizes that servers warn of or refuse. */
const BATCH_ROWS = 50
const BATCH_BYTES = 32 * 1024
const KNOWN_BUCKETS = 100_000
const BUCKETS_A_PAGE = 1_000

export class CassandraMessageStore implements MessageStore {
  readonly settling: Settling
  readonly #cassandra: Cassandra
  readonly #legacy: LegacyMessages
  /** Buckets that were listed, each with the interruptions before it: after another one it may be listed no more. */
  readonly #listed = new LRUCache<string, number>({ max: KNOWN_BUCKETS })

  /** @param settleMilliseconds how long a node that is killed may lose what it acknowledged */
  constructor(cassandra: Cassandra, settleMilliseconds: number) {
    this.#cassandra = cassandra
    this.settling = { milliseconds: settleMilliseconds, interruptions: () => cassandra.interruptions }
    this.#legacy = new LegacyMessages(cassandra)
  }

  async append(messages: MessageRow[]): Promise<void> {
    const partitions = new Map<string, MessageRow[]>()
    for (const message of messages) {
      const key = bucketKey(message.roomId, bucketOf(message.createdAt))
      const partition = partitions.get(key)
      if (partition) partition.push(message)
      else partitions.set(key, [message])
    }
    const writes = [...partitions].flatMap(([key, partition]) => this.#writesOf(key, partition))
    await inParallel(writes, WRITES_IN_FLIGHT)
  }

  async page(request: PageRequest): Promise<MessageRow[]> {
    const own = await this.#pageOfBuckets(request)
    const last = own[request.limit - 1]
    if (last && !(await this.#legacy.reaches(request.roomId, last.createdAt))) return own
    const legacy = await this.#legacy.page(request)
    if (legacy.length === 0) return own
    // Each part runs on to the end of its own ties.
    const both = [...own, ...legacy].sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime())
    const lastAt = both[request.limit - 1]?.createdAt.getTime() ?? Number.NEGATIVE_INFINITY
    return both.filter((message) => message.createdAt.getTime() >= lastAt)
  }

  async find(roomId: string, createdAt: Date, messageId: string): Promise<MessageRow | undefined> {
    const [row] = await this.#cassandra.read(
      `select ${COLUMNS} from message where room_id = ? and bucket = ? and created_at = ? and message_id = ?`,
      [roomId, bucketOf(createdAt), createdAt, messageId],
    )
    return row ? messageOf(row) : this.#legacy.find(roomId, createdAt, messageId)
  }

  async deleteRoom(roomId: string, endedAt: Date): Promise<void> {
    const buckets = await this.#bucketsOf(roomId)
    const time = toMicroseconds(new Date(Math.max(endedAt.getTime(), await this.#newestOf(roomId, buckets[0])) + 1))
    await inParallel(
      buckets.map((bucket) => () => {
        const query = 'delete from message using timestamp ? where room_id = ? and bucket = ?'
        return this.#cassandra.write([{ query, params: [time, roomId, bucket] }])
      }),
      WRITES_IN_FLIGHT,
    )
    await this.#legacy.deleteRoom(roomId)
    // Last: what a crash leaves undone is found again by it.
    const query = 'delete from room_bucket using timestamp ? where room_id = ?'
    await this.#cassandra.write([{ query, params: [time, roomId] }])
  }

  async check(): Promise<void> {
    await this.#cassandra.read('select bucket from room_bucket where room_id = ? limit 1', [NOBODY])
  }

  /** The list entry before or beside the rows: a reader gets them from the log until all of them are acknowledged. */
  #writesOf(key: string, partition: MessageRow[]): (() => Promise<void>)[] {
    const writes = batchesOf(partition).map((batch) => () => this.#cassandra.write(batch.map(insertOf)))
    const [first] = partition
    const { interruptions } = this.#cassandra
    if (!first || this.#listed.get(key) === interruptions) return writes
    const list = async () => {
      const params = [first.roomId, bucketOf(first.createdAt), toMicroseconds(first.createdAt)]
      await this.#cassandra.write([{ query: INSERT_BUCKET, params }])
      this.#listed.set(key, interruptions)
    }
    return [list, ...writes]
  }

  /** Reads the newest bucket, which mostly suffices, then twice as many at a time. */
  async #pageOfBuckets({ roomId, before, limit }: PageRequest): Promise<MessageRow[]> {
    const messages: MessageRow[] = []
    let newest = bucketOf(before)
    for (;;) {
      const listed = await this.#bucketsOf(roomId, newest, limit)
      for (let next = 0, width = 1; next < listed.length; next += width, width *= 2) {
        const wave = listed.slice(next, next + width)
        const pages = await Promise.all(wave.map((bucket) => this.#readBucket(roomId, bucket, before, limit + 1)))
        messages.push(...pages.flat())
        // Messages of one time are in one bucket, of which one more than `limit` was read.
        if (messages.length >= limit) {
          return cutAtTie(messages, limit, (createdAt) => this.#readAt(roomId, createdAt))
        }
      }
      const oldest = listed.at(-1)
      if (oldest === undefined || listed.length < limit) return messages
      newest = oldest - 1
    }
  }

  /** Newest first. */
  async #bucketsOf(roomId: string, newest?: number, limit = BUCKETS_A_PAGE): Promise<number[]> {
    const rows = await (newest === undefined
      ? this.#cassandra.read('select bucket from room_bucket where room_id = ?', [roomId])
      : this.#cassandra.read('select bucket from room_bucket where room_id = ? and bucket <= ? limit ?', [
          roomId,
          newest,
          limit,
        ]))
    return rows.map((row) => Number(row['bucket']))
  }

  async #readBucket(roomId: string, bucket: number, before: Date, limit: number): Promise<MessageRow[]> {
    const rows = await this.#cassandra.read(
      `select ${COLUMNS} from message where room_id = ? and bucket = ? and created_at < ? limit ?`,
      [roomId, bucket, before, limit],
    )
    return rows.map(messageOf)
  }

  async #readAt(roomId: string, createdAt: Date): Promise<MessageRow[]> {
    const rows = await this.#cassandra.read(
      `select ${COLUMNS} from message where room_id = ? and bucket = ? and created_at = ?`,
      [roomId, bucketOf(createdAt), createdAt],
    )
    return rows.map(messageOf)
  }

  /** In milliseconds; a room that was written to very fast is ahead of the clock that its end was logged by. */
  async #newestOf(roomId: string, bucket: number | undefined): Promise<number> {
    if (bucket === undefined) return 0
    const query = 'select created_at from message where room_id = ? and bucket = ? limit 1'
    const [row] = await this.#cassandra.read(query, [roomId, bucket])
    return row ? (row['created_at'] as Date).getTime() : 0
  }
}

const NOBODY = '00000000-0000-0000-0000-000000000000'

const bucketOf = (createdAt: Date) => Math.floor(createdAt.getTime() / BUCKET_MS)

const bucketKey = (roomId: string, bucket: number) => `${roomId}/${bucket}`

/** The unit of Cassandra's write times. */
const toMicroseconds = (time: Date) => time.getTime() * 1_000

function insertOf(message: MessageRow): Statement {
  const { roomId, messageId, senderId, clientMessageId, messageType, roomSeq, createdAt, body } = message
  return {
    query: INSERT,
    // undefined writes nothing; null would write a tombstone.
    params: [
      roomId,
      messageId,
      senderId,
      clientMessageId ?? undefined,
      messageType,
      roomSeq ?? undefined,
      createdAt,
      body,
      bucketOf(createdAt),
      toMicroseconds(createdAt),
    ],
  }
}

function messageOf(row: Row): MessageRow {
  return {
    roomId: row['room_id'].toString(),
    messageId: row['message_id'].toString(),
    senderId: row['sender_id'].toString(),
    clientMessageId: row['client_message_id']?.toString() ?? null,
    messageType: row['message_type'],
    roomSeq: row['room_seq']?.toNumber() ?? null,
    createdAt: row['created_at'],
    body: row['body'],
  }
}

function batchesOf(partition: MessageRow[]): MessageRow[][] {
  const batches: MessageRow[][] = []
  let batch: MessageRow[] = []
  let bytes = 0
  for (const message of partition) {
    const size = Buffer.byteLength(message.body)
    if (batch.length === BATCH_ROWS || (batch.length > 0 && bytes + size > BATCH_BYTES)) {
      batches.push(batch)
      batch = []
      bytes = 0
    }
    batch.push(message)
    bytes += size
  }
  return batch.length > 0 ? [...batches, batch] : batches
}

/** At most `limit` at a time; rejects once those that run have ended. */
async function inParallel(works: (() => Promise<void>)[], limit: number): Promise<void> {
  const queue = works.values()
  const workOff = async () => {
    for (const work of queue) await work()
  }
  const ended = await Promise.allSettled(Array.from({ length: Math.min(limit, works.length) }, workOff))
  for (const each of ended) if (each.status === 'rejected') throw each.reason
}
