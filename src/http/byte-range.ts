/** `Range` requests: which bytes of a representation they want (RFC 9110, section 14). */

/** Both ends included. */
export type ByteRange = { start: number; end: number }

const RANGE = /^bytes\s*=\s*(?:(\d+)-(\d*)|-(\d+))\s*$/i

/**
 * The one range that `header` asks for, cut to what there is; `unsatisfiable` where nothing of it is there; `undefined`
 * where the header is to be ignored: another unit, no range at all, or several, which may be answered with everything.
 */
export function byteRange(header: string, size: number): ByteRange | 'unsatisfiable' | undefined {
  const [, first, last, suffix] = RANGE.exec(header) ?? []
  if (first === undefined && suffix === undefined) return undefined
  if (first && last && Number(last) < Number(first)) return undefined
  const start = first === undefined ? Math.max(size - Number(suffix), 0) : Number(first)
  const end = last ? Math.min(Number(last), size - 1) : size - 1
  return start > end ? 'unsatisfiable' : { start, end }
}

/**
 * Whether a Range beside this If-Range holds: the client's part is of what is served now. Only a strong tag says so
 * (RFC 9110, section 13.1.5); dates do not, since none is sent.
 *
 * @param etag strong, with its quotes
 */
export function rangeApplies(ifRange: string, etag: string): boolean {
  return ifRange === '' || ifRange.trim() === etag
}
