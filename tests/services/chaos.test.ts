/** Redis and Cassandra are killed and frozen too, while nodes and PostgreSQL are: no promise is broken. */
import { expect, test } from 'vitest'
import { isClean, resultTable } from '../chaos/report.ts'
import { runChaos } from '../chaos/run.ts'
import { describeWith } from '../support/services.ts'

/** `CHAOS_SEED=…` repeats the choices, though not the moments at which they fall. */
const seed = Number(process.env['CHAOS_SEED'] ?? Date.now() % 1_000_000)

describeWith(
  ['ISM_TEST_CASSANDRA', 'ISM_TEST_START_CASSANDRA', 'ISM_TEST_REDIS_URL', 'ISM_TEST_START_REDIS'],
  'chaos with Redis and Cassandra',
  (env) => {
    test(`20 kills lose, double and misplace nothing (seed ${seed})`, { timeout: 600_000 }, async () => {
      const options = { nodes: 2, readers: 24, kills: 20, minutes: Infinity, seed }
      const result = await runChaos(options, { env })
      process.stdout.write(resultTable(result))
      expect(isClean(result), resultTable(result)).toBe(true)
      expect(result.kills).toBeGreaterThanOrEqual(20)
      expect([...(result.deeds?.kill.keys() ?? [])]).toEqual(expect.arrayContaining(['Redis', 'Cassandra']))
      expect(result.tally.delivered).toBeGreaterThan(result.tally.answered)
    })
  },
)
