/** Whether a target is met, and whether a bench measured anything at all. */
import type { Bench, Outcome, Series, Table, Target } from './bench.ts'
import { median } from './statistics.ts'

export type Verdict = Target & {
  name: string
  series?: Series
  /** Of the rounds' median; left out where the target was skipped. */
  met?: boolean
  skipped?: string
}

/**
 * @param asIs whether the settings are the bench's own, with which it reaches all its targets
 * @throws Error where a number is missing: nothing that was not measured may look as if it had been
 */
export function judge(bench: Bench, outcome: Outcome, asIs: boolean): Verdict[] {
  if (outcome.tables.length === 0) throw new Error(`${bench.name} has no table`)
  for (const table of outcome.tables) requireNumbers(bench.name, table)
  return Object.entries(bench.targets).map(([name, target]) => {
    const series = outcome.reached[name]
    if (series === undefined) {
      const skipped = outcome.skipped?.find(({ targets }) => targets.includes(name))
      if (!skipped && !asIs) return { ...target, name, skipped: 'not with these settings' }
      if (!skipped) throw new Error(`${bench.name} measured nothing for its target "${target.what}"`)
      return { ...target, name, skipped: skipped.why }
    }
    requireSeries(`${bench.name}, ${target.what}`, series)
    return { ...target, name, series, met: isMet(target, median(series)) }
  })
}

function requireNumbers(bench: string, { title, columns, rows }: Table): void {
  if (rows.length === 0) throw new Error(`${bench}: the table "${title}" is empty`)
  for (const { labels, values } of rows)
    for (const [index, series] of values.entries())
      if (series) requireSeries(`${bench}, ${title}, ${labels.join(' ')}, ${columns[index]?.head}`, series)
}

function requireSeries(what: string, series: Series): void {
  if (series.length === 0 || !series.every((each) => Number.isFinite(each)))
    throw new Error(`${what}: measured nothing (${series.join(' ') || 'no rounds'})`)
}

function isMet({ bound, value }: Target, reached: number): boolean {
  return bound === 'at least' ? reached >= value : reached <= value
}
