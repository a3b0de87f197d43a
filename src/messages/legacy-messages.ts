/** The table that ISM 0.7.9 left in the keyspace: read, and erased room by room, but never written. */
import { LRUCache } from 'lru-cache'
import type { Cassandra, Row } from '../infra/cassandra.ts'
import { MessageType } from '../log/event.ts'
import type { MessageRow } from '../log/event-json.ts'
import { cutAtTie } from './cut-at-tie.ts'
import type { PageRequest } from './message-store.ts'

const TABLE = 'chat_messages'
const COLUMNS = 'chat_room_id, message_id, sender_id, msg_body, msg_type, created_at'

const KNOWN_ROOMS = 100_000

export class LegacyMessages {
  readonly #cassandra: Cassandra
  readonly #newest = new LRUCache<string, number>({ max: KNOWN_ROOMS })
  #exists: boolean | undefined

  constructor(cassandra: Cassandra) {
    this.#cassandra = cassandra
  }

  /** As `MessageStore.page`. */
  async page({ roomId, before, limit }: PageRequest): Promise<MessageRow[]> {
    const messages = await this.#read(
      `select ${COLUMNS} from ${TABLE} where chat_room_id = ? and created_at < ? order by created_at desc limit ?`,
      [roomId, before, limit + 1],
    )
    const readAt = (createdAt: Date) =>
      this.#read(`select ${COLUMNS} from ${TABLE} where chat_room_id = ? and created_at = ?`, [roomId, createdAt])
    return cutAtTie(messages, limit, readAt)
  }

  /** Whether the room has messages here at `time` or later: 0.7.9 took the time of its own machine, which may be ahead. */
  async reaches(roomId: string, time: Date): Promise<boolean> {
    let newest = this.#newest.get(roomId)
    if (newest === undefined) {
      const [message] = await this.#read(
        `select ${COLUMNS} from ${TABLE} where chat_room_id = ? order by created_at desc limit 1`,
        [roomId],
      )
      newest = message?.createdAt.getTime() ?? Number.NEGATIVE_INFINITY
      this.#newest.set(roomId, newest)
    }
    return newest >= time.getTime()
  }

  async find(roomId: string, createdAt: Date, messageId: string): Promise<MessageRow | undefined> {
    const query = `select ${COLUMNS} from ${TABLE} where chat_room_id = ? and created_at = ? and message_id = ?`
    return (await this.#read(query, [roomId, createdAt, messageId]))[0]
  }

  async deleteRoom(roomId: string): Promise<void> {
    if (!(await this.#isThere())) return
    await this.#cassandra.write([{ query: `delete from ${TABLE} where chat_room_id = ?`, params: [roomId] }])
  }

  async #read(query: string, params: unknown[]): Promise<MessageRow[]> {
    if (!(await this.#isThere())) return []
    return (await this.#cassandra.read(query, params)).map(messageOf)
  }

  /** Asked once: nobody makes that table any more. */
  async #isThere(): Promise<boolean> {
    this.#exists ??= await this.#cassandra.hasTable(TABLE)
    return this.#exists
  }
}

function messageOf(row: Row): MessageRow {
  const type = MessageType[row['msg_type'] as keyof typeof MessageType] ?? MessageType.Text
  return {
    roomId: row['chat_room_id'].toString(),
    messageId: row['message_id'].toString(),
    senderId: row['sender_id'].toString(),
    clientMessageId: null,
    messageType: type,
    roomSeq: null,
    createdAt: row['created_at'],
    body: bodyOf(row['msg_body']),
  }
}

/** Bodies are spliced into answers as they are, so one that is no JSON would spoil the whole page. */
function bodyOf(stored: string | null): string {
  try {
    JSON.parse(stored ?? '')
    return stored ?? ''
  } catch {
    return JSON.stringify({ text: stored ?? '' })
  }
}
