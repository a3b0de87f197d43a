/** What is remembered of people never outlives a change that was heard of, also one that came while they were looked up. */
import { expect, it } from 'vitest'
import type { Database } from '../../src/infra/postgres.ts'
import { CurrentUsers } from '../../src/users/current-users.ts'

const ID = '5b0d1c9e-3f6a-4c83-9a0e-5f1d2c3b4a59'
const TOKEN = { userId: ID, expiresAt: 0, issuedAt: 0, claims: {} }

/** One row, of which each look-up is answered when the test says so. */
class SlowDatabase implements Database {
  deleted = false
  reads = 0
  #waiting: (() => void)[] = []

  query<Row extends object>(): Promise<Row[]> {
    this.reads++
    const row = { id: ID, displayName: 'alice', deleted: this.deleted, nameClaim: null, issuedAt: null }
    return new Promise((resolve) => {
      this.#waiting.push(() => resolve([row] as object[] as Row[]))
    })
  }

  answer(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  withConnection(): Promise<never> {
    throw new Error('not needed')
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

function setUp() {
  const db = new SlowDatabase()
  const users = new CurrentUsers(db, { provision: 'auto', nameClaim: 'name' }, () => true)
  const resolve = () => {
    const result = users.resolve(TOKEN)
    db.answer()
    return result
  }
  return { db, users, resolve }
}

it('is read once, until something changes', async () => {
  const { db, users, resolve } = setUp()
  await resolve()
  await resolve()
  expect(db.reads).toBe(1)
  users.forget('somebody else')
  await resolve()
  expect(db.reads).toBe(1)
  users.forget(ID)
  await resolve()
  expect(db.reads).toBe(2)
  users.forgetAll()
  await resolve()
  expect(db.reads).toBe(3)
})

it.each([
  ['of this person', (users: CurrentUsers) => users.forget(ID)],
  ['that may be of anybody', (users: CurrentUsers) => users.forgetAll()],
])('is read again after a change %s that came while it was read', async (_, change) => {
  const { db, users, resolve } = setUp()
  const first = users.resolve(TOKEN)
  db.deleted = true
  change(users)
  db.answer()
  await first
  await expect(resolve()).rejects.toMatchObject({ code: 'INSUFFICIENT_PERMISSIONS' })
})
