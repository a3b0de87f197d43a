/** Times on the wire: RFC 3339, read with any offset and any number of digits, cut to milliseconds. */

/** A time in UTC has four digits for its year. */
const FIRST = Date.parse('0000-01-01T00:00:00.000Z')
const LAST = Date.parse('9999-12-31T23:59:59.999Z')

const RFC3339 = /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?([Zz]|[+-]\d{2}:\d{2})$/

/** `undefined` where `text` is no RFC 3339 date-time (section 5.6) or names a day that does not exist. */
export function parseTimestamp(text: string): Date | undefined {
  const match = RFC3339.exec(text)
  if (!match) return undefined
  const [, year, month, day, hour, minute, second, fraction = '', zone = 'Z'] = match
  const lastDay = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate()
  if (Number(month) < 1 || Number(month) > 12 || Number(day) < 1 || Number(day) > lastDay) return undefined
  // A leap second is read as the second before it: the log's clock has none.
  const wholeSecond = second === '60' ? '59' : second
  const millis = fraction.slice(0, 3).padEnd(3, '0')
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${wholeSecond}.${millis}${zone.toUpperCase()}`)
  // An offset leads past what can be written again: that is read as the nearest time that can.
  return Number.isNaN(time) ? undefined : new Date(Math.min(Math.max(time, FIRST), LAST))
}

/** @param utc `YYYY-MM-DD hh:mm:ss[.ffffff]`, as PostgreSQL writes a timestamp without zone */
export function wireTime(utc: string): string {
  return `${utc.slice(0, 10)}T${utc.slice(11, 19)}.${utc.slice(20, 23).padEnd(3, '0')}Z`
}
