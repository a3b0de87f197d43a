/** How sends gather into batches: by turn and by commit, within bounds, and apart where one of them spoils the rest. */
import { randomUUID } from 'node:crypto'
import { beforeEach, expect, test } from 'vitest'
import type { Queryable } from '../../src/infra/postgres.ts'
import type { LogEvent } from '../../src/log/event.ts'
import { createSendBatches, type Send, type SendBatches } from '../../src/log/send-batch.ts'

/** The bodies of each call, in order. */
let calls: string[][]
let observed: number[]
let committed: LogEvent[][]
/** Resolves when the database may answer. */
let answering: Promise<void>
/** Sends whose body has this fail the whole statement. */
let poison: string | undefined
let batches: SendBatches

beforeEach(() => {
  calls = []
  observed = []
  committed = []
  answering = Promise.resolve()
  poison = undefined
  let seq = 0
  const db: Queryable = {
    async query<Row extends object>(_name: string, _text: string, values: unknown[] = []) {
      const bodies = values[5] as string[]
      calls.push(bodies)
      await answering
      if (poison && bodies.includes(poison)) throw Object.assign(new Error('invalid data'), { code: '22P05' })
      const rows = bodies.map((_, n) => {
        const messageId = (values[2] as string[])[n]
        return {
          n: n + 1,
          status: 0,
          seq: ++seq,
          roomSeq: seq,
          messageId,
          createdAt: new Date(seq),
          loggedAt: new Date(seq),
        }
      })
      // In no certain order, as a database may.
      return rows.reverse() as object[] as Row[]
    },
  }
  const observer = { batchAppended: (sends: number) => void observed.push(sends) }
  batches = createSendBatches(db, observer, (events) => void committed.push(events))
})

const send = (body: string, more: Partial<Send> = {}): Send => ({
  roomId: 'room',
  senderId: 'sender',
  messageId: randomUUID(),
  clientMessageId: null,
  messageType: 1,
  body,
  preview: '',
  ...more,
})
const append = (...bodies: string[]) => Promise.all(bodies.map((body) => batches.append(send(body))))
const sizes = () => calls.map(({ length }) => length)

test('sends of one turn are one call, and each gets its own answer', async () => {
  const sends = Array.from({ length: 64 }, (_, n) => send(`${n}`))
  const sent = await Promise.all(sends.map((each) => batches.append(each)))
  expect(sizes()).toEqual([64])
  expect(sent.map(({ messageId }) => messageId)).toEqual(sends.map(({ messageId }) => messageId))
  expect(sent.map(({ roomSeq }) => roomSeq)).toEqual(sends.map((_, n) => n + 1))
  expect(observed).toEqual([64])
  expect(committed.map((events) => events.map(({ seq, body }) => [seq, body]))).toEqual([
    sends.map(({ body }, n) => [n + 1, body]),
  ])
})

test('while one batch commits, the next gathers', async () => {
  let answer: () => void = () => {}
  answering = new Promise((resolve) => {
    answer = resolve
  })
  const first = append('one')
  await new Promise((resolve) => setImmediate(resolve))
  const later = []
  for (const body of ['two', 'three', 'four']) {
    later.push(append(body))
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(calls).toEqual([['one']])
  answer()
  await Promise.all([first, ...later])
  expect(calls).toEqual([['one'], ['two', 'three', 'four']])
})

test('a batch is bounded by count and by bytes', async () => {
  await append(...Array.from({ length: 1_100 }, (_, n) => `${n}`))
  expect(sizes()).toEqual([512, 512, 76])
  calls = []
  await append(...Array.from({ length: 5 }, () => 'x'.repeat(400_000)))
  expect(sizes()).toEqual([2, 2, 1])
  calls = []
  await append('x'.repeat(3_000_000), 'small')
  expect(sizes()).toEqual([1, 1])
})

test('one client message id of one sender is in a batch once', async () => {
  const one = { clientMessageId: 'c' }
  const sends = [send('one', one), send('one again', one), send('other', { ...one, senderId: 'other' })]
  await Promise.all(sends.map((each) => batches.append(each)))
  expect(calls).toEqual([['one'], ['one again', 'other']])
})

test('data that fails the statement fails its own send alone', async () => {
  poison = 'poison'
  const bodies = ['a', 'b', 'c', 'poison', 'd', 'e', 'f']
  const outcomes = await Promise.allSettled(bodies.map((body) => batches.append(send(body))))
  expect(outcomes.map(({ status }) => status)).toEqual(
    bodies.map((body) => (body === poison ? 'rejected' : 'fulfilled')),
  )
})

test('idle comes when everything is answered', async () => {
  await batches.idle()
  let answered = 0
  for (const body of ['one', 'two']) void append(body).then(() => answered++)
  await batches.idle()
  await new Promise((resolve) => setImmediate(resolve))
  expect(answered).toBe(2)
  await append('three')
  expect(calls).toEqual([['one', 'two'], ['three']])
})
