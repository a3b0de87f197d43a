/** What streams ask the database while they open: one statement for all who ask meanwhile, begun after each of them asked. */
import { createBatches, SHARED } from '../infra/batches.ts'
import type { Queryable } from '../infra/postgres.ts'
import { type LogState, readLogState } from '../log/log-repository.ts'
import { type Memberships, readMemberships, type Stay } from '../log/memberships.ts'
import type { Tail } from '../log/tail.ts'

export type SharedReads = {
  logState(): Promise<LogState>
  /**
   * The person's intervals that reach beyond `since`.
   * @returns with them what the tail's position was before they were read
   */
  memberships(userId: string, since: number): Promise<{ memberships: Memberships; position: number }>
}

/** @param known gives somebody's stay in a room that is in memory already */
export function createSharedReads(db: Queryable, tail: Tail, known: (roomId: string) => Stay | undefined): SharedReads {
  const states = createBatches<undefined, LogState>({
    ...SHARED,
    async run(asked) {
      const state = await readLogState(db)
      return asked.map(() => state)
    },
  })
  const people = createBatches<{ userId: string; since: number }, Awaited<ReturnType<SharedReads['memberships']>>>({
    ...SHARED,
    async run(asked) {
      const { position } = tail
      return (await readMemberships(db, asked, known)).map((memberships) => ({ memberships, position }))
    },
  })
  return {
    logState: () => states.add(undefined),
    memberships: (userId, since) => people.add({ userId, since }),
  }
}
