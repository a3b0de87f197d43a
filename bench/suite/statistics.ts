/** Medians and the like. Whoever measures has at least one number; of none, they are NaN, which the suite refuses. */
import type { Series } from './bench.ts'

export function sorted(numbers: Iterable<number>): Float64Array {
  return Float64Array.from(numbers).sort()
}

/** @param ascending sorted */
export function quantile(ascending: ArrayLike<number>, q: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * q))] ?? Number.NaN
}

export function median(series: Series): number {
  const ascending = sorted(series)
  const middle = ascending.length >> 1
  if (ascending.length % 2 === 1) return ascending[middle] ?? Number.NaN
  return ((ascending[middle - 1] ?? Number.NaN) + (ascending[middle] ?? Number.NaN)) / 2
}

export function spread(series: Series): { low: number; high: number } {
  return { low: Math.min(...series), high: Math.max(...series) }
}

/** Round by round, so that a drift of the machine hits both sides of a ratio. */
export function ratios(series: Series, against: Series): Series {
  return series.map((each, round) => each / (against[round] ?? Number.NaN))
}
