/** The message store's contract, by the adapter that keeps messages in PostgreSQL. */
import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { openDatabase } from '../../src/infra/postgres.ts'
import { MessageType } from '../../src/log/event.ts'
import { PostgresMessageStore } from '../../src/messages/message-store-postgres.ts'
import { createDatabase } from '../support/database.ts'
import { describeMessageStore } from './message-store.contract.ts'

async function open() {
  const { config, drop } = await createDatabase()
  const statements: string[] = []
  const db = openDatabase(config, { queryStarted: (name) => statements.push(name), connectionFailed() {} })
  return {
    db,
    statements,
    store: new PostgresMessageStore(db),
    async createRoom() {
      const id = randomUUID()
      await db.query('test.room', "insert into chat_room (id, created_at, room_type) values ($1, now(), 'Group')", [id])
      return id
    },
    async endRoom(roomId: string) {
      await db.query('test.end-room', 'delete from chat_room where id = $1', [roomId])
    },
    async close() {
      await db.close()
      await drop()
    },
  }
}

describeMessageStore('PostgreSQL', open)

it('PostgreSQL: any number of messages is one statement, and a large room is erased in slices', async () => {
  const { store, statements, createRoom, endRoom, close } = await open()
  const roomId = await createRoom()
  await store.append(
    Array.from({ length: 10_001 }, (_, i) => ({
      roomId,
      messageId: randomUUID(),
      senderId: randomUUID(),
      clientMessageId: null,
      messageType: MessageType.Text,
      roomSeq: i,
      createdAt: new Date(i),
      body: '{"text":"many"}',
    })),
  )
  await endRoom(roomId)
  await store.deleteRoom(roomId)
  expect(statements.filter((name) => name.startsWith('messages.'))).toEqual([
    'messages.store',
    'messages.delete-room',
    'messages.delete-room',
    'messages.delete-room',
  ])
  await close()
})

it('PostgreSQL: a check rejects where the database is gone', async () => {
  const { config, drop } = await createDatabase()
  await drop()
  const db = openDatabase(config, { queryStarted() {}, connectionFailed() {} })
  await expect(new PostgresMessageStore(db).check()).rejects.toThrow()
  await db.close()
})
