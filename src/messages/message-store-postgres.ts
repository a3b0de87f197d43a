/** Messages in PostgreSQL: the default where no other store is configured. */
import type { Queryable } from '../infra/postgres.ts'
import { MESSAGE_COLUMNS, type MessageRow } from '../log/event-json.ts'
import type { MessageStore, PageRequest } from './message-store.ts'

/** Erasing in slices keeps each statement, and what it locks, short. */
const DELETE_SLICE = 5_000

export class PostgresMessageStore implements MessageStore {
  readonly #db: Queryable

  constructor(db: Queryable) {
    this.#db = db
  }

  /**
   * Only into rooms that exist, whose rows stay locked meanwhile: so a room's deletion comes either before, and nothing
   * is written, or after, and erases what was.
   */
  async append(messages: MessageRow[]): Promise<void> {
    await this.#db.query(
      'messages.store',
      `with rooms as materialized (select id from chat_room where id = any ($1::uuid[]) for key share)
      insert into message (room_id, created_at, message_id, room_seq, sender_id, client_message_id, message_type, body)
      select m.* from unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::bigint[], $5::uuid[], $6::uuid[], $7::smallint[],
        $8::text[]) as m(room_id, created_at, message_id, room_seq, sender_id, client_message_id, message_type, body)
      join rooms on rooms.id = m.room_id
      on conflict do nothing`,
      [
        messages.map((message) => message.roomId),
        messages.map((message) => message.createdAt),
        messages.map((message) => message.messageId),
        messages.map((message) => message.roomSeq),
        messages.map((message) => message.senderId),
        messages.map((message) => message.clientMessageId),
        messages.map((message) => message.messageType),
        messages.map((message) => message.body),
      ],
    )
  }

  page({ roomId, before, limit }: PageRequest): Promise<MessageRow[]> {
    return this.#db.query<MessageRow>(
      'messages.page',
      `select ${MESSAGE_COLUMNS} from message m where m.room_id = $1 and m.created_at < $2
      order by m.created_at desc fetch first $3 rows with ties`,
      [roomId, before, limit],
    )
  }

  async find(roomId: string, createdAt: Date, messageId: string): Promise<MessageRow | undefined> {
    const [message] = await this.#db.query<MessageRow>(
      'messages.find',
      `select ${MESSAGE_COLUMNS} from message m where m.room_id = $1 and m.created_at = $2 and m.message_id = $3`,
      [roomId, createdAt, messageId],
    )
    return message
  }

  async deleteRoom(roomId: string): Promise<void> {
    for (;;) {
      const deleted = await this.#db.query(
        'messages.delete-room',
        `delete from message where ctid = any (array(select ctid from message where room_id = $1 limit $2))
        returning 1`,
        [roomId, DELETE_SLICE],
      )
      if (deleted.length < DELETE_SLICE) return
    }
  }

  async check(): Promise<void> {
    await this.#db.query('messages.check', 'select 1')
  }
}
