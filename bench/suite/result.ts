/** A bench's result, as `--json` and docs/performance/results.json have it. */
import type { Outcome } from './bench.ts'
import type { Machine } from './machine.ts'
import type { Verdict } from './verdict.ts'

export type Result = {
  bench: string
  about: string
  small: boolean
  machine: Machine
  seconds: number
  settings: Record<string, unknown>
  targets: Verdict[]
} & Pick<Outcome, 'tables' | 'charts' | 'skipped'>
