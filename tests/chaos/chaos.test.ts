/** Nodes and PostgreSQL are killed, stopped and frozen at random under load: no promise is broken. */
import { expect, test } from 'vitest'
import { isClean, resultTable } from './report.ts'
import { runChaos } from './run.ts'

/** `CHAOS_SEED=… npx vitest run tests/chaos` repeats the choices, though not the moments at which they fall. */
const seed = Number(process.env['CHAOS_SEED'] ?? Date.now() % 1_000_000)
/** Without the servers that the environment may name. */
const NO_SERVERS = {}

test(`20 kills lose, double and misplace nothing (seed ${seed})`, { timeout: 300_000 }, async () => {
  const options = { nodes: 2, readers: 24, kills: 20, minutes: Infinity, seed }
  const result = await runChaos(options, { env: NO_SERVERS })
  process.stdout.write(resultTable(result))
  expect(isClean(result), resultTable(result)).toBe(true)
  expect(result.kills).toBeGreaterThanOrEqual(20)
  expect(result.tally.answered).toBeGreaterThan(100)
  expect(result.tally.delivered).toBeGreaterThan(result.tally.answered)
})
