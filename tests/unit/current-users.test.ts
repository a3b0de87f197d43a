/**
 * People are looked up together where they come together, and what is remembered of them never outlives a change that was
 * heard of, also one that came while they were looked up.
 */
import { expect, it, vi } from 'vitest'
import type { Database } from '../../src/infra/postgres.ts'
import { CurrentUsers } from '../../src/users/current-users.ts'

const ID = '5b0d1c9e-3f6a-4c83-9a0e-5f1d2c3b4a59'
const tokenOf = (userId: string) => ({ userId, expiresAt: 0, issuedAt: 0, name: undefined, claims: {} })
const TOKEN = tokenOf(ID)

/** A row for whoever is asked for, where each look-up is answered when the test says so. */
class SlowDatabase implements Database {
  deleted = false
  /** The ids of each look-up. */
  readonly reads: string[][] = []
  #waiting: { resolve: () => void; reject: (error: Error) => void }[] = []

  query<Row extends object>(_name: string, _text: string, [ids]: unknown[] = []): Promise<Row[]> {
    this.reads.push(ids as string[])
    const { deleted } = this
    const rows = this.reads
      .at(-1)
      ?.map((id) => ({ id, displayName: `name of ${id}`, deleted, nameClaim: null, issuedAt: null }))
      // In no certain order, as a database may.
      .reverse()
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve: () => resolve(rows as object[] as Row[]), reject })
    })
  }

  /** The look-up that is under way, or comes next. */
  async #next() {
    await vi.waitUntil(() => this.#waiting.length > 0, { interval: 1, timeout: 8_000 })
    return this.#waiting.splice(0)
  }

  async answer(): Promise<void> {
    for (const { resolve } of await this.#next()) resolve()
  }

  async fail(error: Error): Promise<void> {
    for (const { reject } of await this.#next()) reject(error)
  }

  async asked(): Promise<void> {
    await vi.waitUntil(() => this.#waiting.length > 0, { interval: 1, timeout: 8_000 })
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
  const resolve = async () => {
    const result = users.resolve(TOKEN)
    await db.answer()
    return await result
  }
  return { db, users, resolve }
}

it('is read once, until something changes', async () => {
  const { db, users, resolve } = setUp()
  await resolve()
  await users.resolve(TOKEN)
  expect(db.reads).toHaveLength(1)
  users.forget('somebody else')
  await users.resolve(TOKEN)
  expect(db.reads).toHaveLength(1)
  users.forget(ID)
  await resolve()
  expect(db.reads).toHaveLength(2)
  users.forgetAll()
  await resolve()
  expect(db.reads).toHaveLength(3)
})

it.each([
  ['of this person', (users: CurrentUsers) => users.forget(ID)],
  ['that may be of anybody', (users: CurrentUsers) => users.forgetAll()],
])('is read again after a change %s that came while it was read', async (_, change) => {
  const { db, users, resolve } = setUp()
  const first = users.resolve(TOKEN)
  await db.asked()
  db.deleted = true
  change(users)
  await db.answer()
  await first
  await expect(resolve()).rejects.toMatchObject({ code: 'INSUFFICIENT_PERMISSIONS' })
})

it('is looked up together with whoever comes meanwhile, and each gets their own', async () => {
  const { db, users } = setUp()
  const first = users.resolve(tokenOf('first'))
  await db.asked()
  const others = Promise.all(['second', 'third', 'second'].map((id) => users.resolve(tokenOf(id))))
  await db.answer()
  await first
  await db.answer()
  expect((await others).map(({ displayName }) => displayName)).toEqual(
    ['second', 'third', 'second'].map((id) => `name of ${id}`),
  )
  expect(db.reads).toEqual([['first'], ['second', 'third', 'second']])
})

it('is looked up again after a look-up that failed', async () => {
  const { db, users, resolve } = setUp()
  const failing = Promise.allSettled([users.resolve(TOKEN), users.resolve(tokenOf('another'))])
  await db.fail(new Error('gone'))
  expect((await failing).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect((await resolve()).id).toBe(ID)
})
