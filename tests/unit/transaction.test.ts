/** The turns that a node's transactions take at the log's lock. */
import { afterEach, expect, test, vi } from 'vitest'
import type { Connection, Database } from '../../src/infra/postgres.ts'
import { createLogTransactions } from '../../src/log/transaction.ts'

afterEach(() => vi.useRealTimers())

test('one begins when the one before has ended, well or not', async () => {
  const { statements, database } = recorder()
  const transactions = createLogTransactions(database, () => {})
  const results = await Promise.allSettled([
    transactions.run(async () => 1),
    transactions.run(async () => {
      throw new Error('refused')
    }),
    transactions.run(async () => 3),
  ])
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(statements).toEqual(['begin', 'commit', 'begin', 'rollback', 'begin', 'commit'])
})

test('one that waited too long is refused, and is the last to be', async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  const { database } = recorder()
  const transactions = createLogTransactions(database, () => {})
  const slow = transactions.run(async () => vi.advanceTimersByTime(5_100))
  const late = transactions.run(async () => 'never')
  await slow
  await expect(late).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' })
  expect(await transactions.run(async () => 'in time')).toBe('in time')
})

/** A database that notes how transactions begin and end. */
function recorder(): { statements: string[]; database: Database } {
  const statements: string[] = []
  const connection = {
    query: async () => [{ time: new Date() }],
    execute: async (text: string) => void statements.push(/^\w+/.exec(text)?.[0] ?? ''),
  } as unknown as Connection
  const database = {
    withConnection: async <T>(work: (on: Connection) => Promise<T>) => {
      await new Promise((resolve) => setImmediate(resolve))
      return work(connection)
    },
  } as unknown as Database
  return { statements, database }
}
