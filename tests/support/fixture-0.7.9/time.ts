/** Times as ISM 0.7.9 has them: microseconds in PostgreSQL, milliseconds in Cassandra, any of both inside stored JSON. */

/** Since 1970; exact as a number until the year 2255. */
export type Micros = number

export const SECOND = 1_000_000
export const MINUTE = 60 * SECOND
export const DAY = 24 * 60 * MINUTE

/** @param time RFC 3339 in UTC, in whole seconds */
export const at = (time: string): Micros => Date.parse(time) * 1_000

/** For PostgreSQL: six digits. */
export const toTimestamp = (time: Micros): string => `${secondsOf(time)}.${fractionOf(time)}Z`

/** For clients: cut to milliseconds. */
export const toWire = (time: Micros): string => `${secondsOf(time)}.${fractionOf(time).slice(0, 3)}Z`

/** Inside stored JSON: as many digits as needed, in groups of three. */
export function toStoredJson(time: Micros): string {
  const fraction = fractionOf(time).replace(/(000){1,2}$/, '')
  return `${secondsOf(time)}${fraction && `.${fraction}`}Z`
}

const secondsOf = (time: Micros) => new Date(Math.floor(time / SECOND) * 1_000).toISOString().slice(0, 19)

const fractionOf = (time: Micros) => String(time % SECOND).padStart(6, '0')
