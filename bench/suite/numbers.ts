/** Numbers as people read them. */
import type { Series } from './bench.ts'
import { median, spread } from './statistics.ts'

export function formatNumber(value: number, digits: number): string {
  return value.toLocaleString('en-GB', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

/** The median, and where there were several rounds, from which to which they went. */
export function formatSeries(series: Series, digits: number): string {
  const { low, high } = spread(series)
  const text = formatNumber(median(series), digits)
  return series.length < 2 ? text : `${text} (${formatNumber(low, digits)} to ${formatNumber(high, digits)})`
}

/** Two significant digits after what is the same for all: ratios near one need them, thousands do not. */
export function digitsFor(value: number): number {
  return Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2
}
