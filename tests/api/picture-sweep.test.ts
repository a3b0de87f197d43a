/** The sweep of pictures that no room refers to. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDatabase } from '../../src/infra/postgres.ts'
import { createLogTransactions } from '../../src/log/transaction.ts'
import type { ObjectStore } from '../../src/objects/object-store.ts'
import { createObjectUrls } from '../../src/objects/object-urls.ts'
import { RoomImages } from '../../src/rooms/room-images.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
let db: ReturnType<typeof openDatabase>
beforeAll(async () => {
  database = await createDatabase()
  db = openDatabase(database.config, { queryStarted() {}, connectionFailed() {} })
})
afterAll(async () => {
  await db.close()
  await database.drop()
})

test('a picture that cannot be deleted does not keep it from the others', async () => {
  const deleted: string[] = []
  const objects = {
    async delete(key: string) {
      if (key === 'stuck') throw new Error('cannot be deleted')
      deleted.push(key)
    },
  } as ObjectStore
  const urls = createObjectUrls({ bucket: 'ism', publicUrl: undefined })
  const images = new RoomImages(
    db,
    createLogTransactions(db, () => {}),
    objects,
    urls,
  )
  await db.query(
    'test.garbage',
    `insert into object_garbage (key, since) values ('stuck', now() - interval '3 hours'), ('free', now() - interval '2 hours')`,
  )
  await expect(images.sweep(60)).rejects.toThrow('cannot be deleted')
  expect(await images.sweep(60)).toBe(1)
  expect(deleted).toEqual(['free'])
  const left = await db.query<{ key: string }>('test.left', 'select key from object_garbage')
  expect(left).toEqual([{ key: 'stuck' }])
})
