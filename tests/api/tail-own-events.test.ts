/** What a node has appended itself it does not read again; what others appended in between it does. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Database, openDatabase, type Queryable } from '../../src/infra/postgres.ts'
import type { LogEvent } from '../../src/log/event.ts'
import { readEvents } from '../../src/log/log-repository.ts'
import { createSendBatches, type SendBatches } from '../../src/log/send-batch.ts'
import { Tail } from '../../src/log/tail.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { appendMany } from '../support/many-messages.ts'
import type { Person } from '../support/person.ts'

let ism: TestIsm
let database: Database
let alice: Person
let roomId: string
let tail: Tail
let batches: SendBatches
/** Of the statements that the tail and the batches have asked for. */
let asked: string[]
let followed: LogEvent[]
/** What the follower makes the tail wait for. */
let congestion: Promise<void> | undefined

beforeAll(async () => {
  ism = await startIsm()
  database = openDatabase(ism.config.postgres, { queryStarted() {}, connectionFailed() {} })
  ;[alice] = await ism.people('alice')
  roomId = await alice.createRoom([(await ism.people('bob'))[0] as Person], 'Tea')
})
afterAll(async () => {
  await database.close()
  await ism.stop()
})

beforeEach(async () => {
  asked = []
  followed = []
  congestion = undefined
  const db: Queryable = {
    query: (name, text, values) => {
      asked.push(name)
      return database.query(name, text, values)
    },
  }
  const observe = {
    tailRead() {},
    tailFailed(error: unknown) {
      throw error
    },
    logReplaced(error: Error) {
      throw error
    },
  }
  tail = new Tail(db, observe, { memoryBytes: 1_000_000, isWoken: () => true })
  tail.follow((events) => {
    followed.push(...events)
    return congestion
  })
  await tail.start()
  batches = createSendBatches(db, { batchAppended() {} }, (events) => tail.appended(events))
  asked = []
  return () => tail.stop()
})

const send = (text: string, clientMessageId: string | null = null) =>
  batches.append({
    roomId,
    senderId: alice.id,
    messageId: crypto.randomUUID(),
    clientMessageId,
    messageType: 1,
    body: JSON.stringify({ text }),
    preview: '{"type":"New"}',
  })
const texts = () => followed.map(({ body }) => JSON.parse(body).text)

test('it follows what it has appended without reading, and as it would have read it', async () => {
  const before = tail.position
  const id = crypto.randomUUID()
  await Promise.all([send('one', id), send('two'), send('three')])
  await Promise.all([send('one', id), send('four')])
  expect(asked).toEqual(['log.append-sends', 'log.append-sends'])
  expect(texts()).toEqual(['one', 'two', 'three', 'four'])
  expect(followed).toEqual((await readEvents(database, before, 100)).events)
})

test('what somebody else appended in between is read first', async () => {
  await appendMany(ism.sql, roomId, alice.id, 2)
  const { seq } = await send('after')
  await tail.reached(seq)
  expect(asked).toContain('log.read')
  expect(followed.map((event) => event.seq)).toEqual([seq - 2, seq - 1, seq])
})

test('while the followers hold it up nothing goes past it', async () => {
  let goOn: () => void = () => {}
  congestion = new Promise((resolve) => {
    goOn = resolve
  })
  await send('one')
  congestion = undefined
  const { seq } = await send('two')
  expect(texts()).toEqual(['one'])
  goOn()
  await tail.reached(seq)
  expect(texts()).toEqual(['one', 'two'])
})
