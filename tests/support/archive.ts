/** Moves the log on as time would: what it holds is archived, then trimmed. */
import { randomUUID } from 'node:crypto'
import { expect, vi } from 'vitest'
import { openDatabase } from '../../src/infra/postgres.ts'
import { Retention } from '../../src/log/retention.ts'
import { createLogTransactions } from '../../src/log/transaction.ts'
import { ARCHIVE } from '../../src/messages/archiver.ts'
import type { TestIsm } from './ism.ts'

/** Resolves when the message store has everything that the log holds now. */
export async function archived({ sql }: Pick<TestIsm, 'sql'>): Promise<void> {
  const { rows } = await sql.query('select coalesce(max(seq), 0) as head from event')
  await vi.waitFor(
    async () => {
      const { rowCount } = await sql.query('select from projection where name = $1 and seq >= $2', [
        ARCHIVE,
        rows[0].head,
      ])
      expect(rowCount).toBe(1)
    },
    { timeout: 20_000 },
  )
}

export async function holdArchive(ism: Pick<TestIsm, 'sql'>): Promise<() => Promise<void>> {
  await archived(ism)
  return holdProjection(ism, ARCHIVE)
}

/** Another holder has its lease, and does nothing with it, until the returned function is called. */
export async function holdProjection({ sql }: Pick<TestIsm, 'sql'>, name: string): Promise<() => Promise<void>> {
  await sql.query(`update projection set holder = $2, lease_until = 'infinity', epoch = epoch + 1 where name = $1`, [
    name,
    randomUUID(),
  ])
  return async () => {
    await sql.query(`update projection set holder = null, lease_until = '-infinity' where name = $1`, [name])
    await sql.query("select pg_notify('ism_log', '')")
  }
}

/** Drops all of the log up to now, as retention does once its time is over. */
export async function trimLog(ism: TestIsm): Promise<void> {
  const db = openDatabase(ism.config.postgres, { queryStarted() {}, connectionFailed() {} })
  const transactions = createLogTransactions(db, () => {})
  const retention = new Retention(db, transactions, { retentionHours: 0, partitionSpan: 1_000, archive: ARCHIVE })
  try {
    await archived(ism)
    await retention.run()
    // The partition that was cut is past once another one is in use.
    await transactions.run((transaction) => transaction.append({ type: 8, recipients: [], body: '{"message":null}' }))
    expect(await retention.run()).toBeGreaterThan(0)
  } finally {
    await db.close()
  }
}
