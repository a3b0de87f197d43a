/** How notifications wait to be stored: in their order over failures, and within bounds. */
import { randomUUID } from 'node:crypto'
import { beforeEach, expect, test } from 'vitest'
import type { Queryable } from '../../src/infra/postgres.ts'
import type { Notification } from '../../src/notifications/notification.ts'
import { createNotificationLog, type NotificationLog } from '../../src/notifications/notification-log.ts'

/** The messages of each call, in order. */
let calls: string[][]
/** What each call does before it answers; afterwards they succeed. */
let before: (() => Promise<void>)[]
let log: NotificationLog

beforeEach(() => {
  calls = []
  before = []
  let seq = 0
  const db: Queryable = {
    async query<Row extends object>(_name: string, _text: string, values: unknown[] = []) {
      const bodies = values[2] as string[]
      calls.push(bodies.map((body) => JSON.parse(body).message))
      await before.shift()?.()
      return bodies.map((_, n) => ({ n: n + 1, status: 0, seq: ++seq, served: 1, unknown: [] })) as object[] as Row[]
    },
  }
  log = createNotificationLog(db)
})

const failing = (code: string) => () => Promise.reject(Object.assign(new Error('it failed'), { code }))
const [AWAY, BAD_DATA] = [failing('57P01'), failing('22P05')]

const notification = (message: string, recipients = 1): Notification => ({
  id: randomUUID(),
  toUsers: Array.from({ length: recipients }, () => randomUUID()),
  message: JSON.stringify(message),
  sentAt: undefined,
})
const outcomes = async (notifications: Notification[]) =>
  (await Promise.allSettled(notifications.map((each) => log.append(each)))).map(({ status }) => status)

test('none overtakes another that failed for a reason that may pass: all that wait fail with it', async () => {
  const chunk = ['one', 'two', 'three', 'four'].map((message) => notification(message, 10_000))
  before = [AWAY]
  expect(await outcomes(chunk)).toEqual(Array(4).fill('rejected'))
  expect(calls).toEqual([['one', 'two']])
  expect(await outcomes(chunk)).toEqual(Array(4).fill('fulfilled'))
  expect(calls.slice(1)).toEqual([
    ['one', 'two'],
    ['three', 'four'],
  ])
})

test('nor where that happens while one with bad data is looked for', async () => {
  const chunk = ['one', 'two', 'three', 'four'].map((message) => notification(message))
  before = [BAD_DATA, AWAY]
  expect(await outcomes(chunk)).toEqual(Array(4).fill('rejected'))
  expect(calls).toEqual([
    ['one', 'two', 'three', 'four'],
    ['one', 'two'],
  ])
})

test('bad data fails its own notification alone', async () => {
  before = [BAD_DATA, BAD_DATA, BAD_DATA]
  const chunk = ['bad', 'two', 'three', 'four'].map((message) => notification(message))
  expect(await outcomes(chunk)).toEqual(['rejected', 'fulfilled', 'fulfilled', 'fulfilled'])
  expect(calls.slice(3)).toEqual([['two'], ['three', 'four']])
})

test.each([
  ['small ones, by their number', notification('x'), 500, 501],
  ['ones for many people, by what they take', notification('x', 10_000), 20, 40],
  ['long ones, by what they take', notification('x'.repeat(65_000)), 240, 280],
])('what waits is bounded: %s', async (_, each, least, most) => {
  let release: () => void = () => {}
  before = [() => new Promise((resolve) => (release = resolve))]
  const first = log.append(notification('first'))
  await new Promise((resolve) => setImmediate(resolve))
  expect(calls).toHaveLength(1)
  const waiting: Promise<unknown>[] = []
  let refused: unknown
  while (refused === undefined && waiting.length < 1_000) {
    const appended = log.append({ ...each, id: randomUUID() })
    waiting.push(appended)
    refused = await Promise.race([
      appended.catch((error: unknown) => error),
      new Promise((resolve) => setImmediate(resolve)),
    ])
  }
  const settled = Promise.allSettled(waiting)
  expect(refused).toMatchObject({ code: 'SERVICE_UNAVAILABLE' })
  expect(waiting.length).toBeGreaterThanOrEqual(least)
  expect(waiting.length).toBeLessThanOrEqual(most)
  // Refused, too, as it would overtake the other.
  await expect(log.append(notification('small'))).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' })
  release()
  await first
  expect((await settled).filter(({ status }) => status === 'rejected')).toHaveLength(1)
  await log.append(notification('afterwards'))
})
