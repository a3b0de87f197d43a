/** What the terminal shows of a bench. */
import Table from 'cli-table3'
import type { Outcome } from './bench.ts'
import { digitsFor, formatSeries } from './numbers.ts'
import { median } from './statistics.ts'
import type { Verdict } from './verdict.ts'

const STYLE = { head: [], border: [] }

/** @param judged false for a small run, whose numbers say nothing */
export function textReport(outcome: Outcome, verdicts: Verdict[], judged: boolean): string {
  const parts = outcome.tables.map(({ title, labels, columns, rows }) => {
    const table = new Table({ head: [...labels, ...columns.map(({ head }) => head)], style: STYLE })
    for (const row of rows)
      table.push([
        ...row.labels,
        ...row.values.map((series, n) => (series ? formatSeries(series, columns[n]?.digits ?? 0) : '')),
      ])
    return `${title}\n${table}`
  })
  if (verdicts.length > 0) parts.push(`Targets\n${verdictTable(verdicts, judged)}`)
  for (const { what, why } of outcome.skipped ?? []) parts.push(`skipped: ${what}: ${why}`)
  return parts.join('\n')
}

function verdictTable(verdicts: Verdict[], judged: boolean): string {
  const table = new Table({ head: ['what', 'against', 'median (rounds)', 'target', ''], style: STYLE })
  for (const verdict of verdicts)
    table.push([
      verdict.what,
      verdict.against ?? '',
      reachedText(verdict),
      targetText(verdict),
      metText(verdict, judged),
    ])
  return table.toString()
}

export function reachedText({ series, unit, skipped }: Verdict): string {
  if (!series) return `skipped: ${skipped}`
  return `${formatSeries(series, digitsFor(median(series)))}${unit && ` ${unit}`}`
}

export function targetText({ bound, value, unit }: Verdict): string {
  return `${bound === 'at least' ? '≥' : '≤'} ${value}${unit && ` ${unit}`}`
}

function metText({ met }: Verdict, judged: boolean): string {
  if (met === undefined) return ''
  if (!judged) return 'small: not judged'
  return met ? 'met' : 'MISSED'
}
