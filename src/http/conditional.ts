/** Conditional requests by entity tag. */

const ENTITY_TAG = /(?:W\/)?("[\x21\x23-\x7e\x80-\xff]*")/g

/**
 * Whether a GET with this If-None-Match is answered with 304: one of its tags equals `etag` by weak comparison, or it
 * is `*` (RFC 9110, sections 8.8.3.2 and 13.1.2).
 *
 * @param etag with its quotes
 */
export function matchesEntityTag(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false
  if (ifNoneMatch.trim() === '*') return true
  const opaque = etag.replace(/^W\//, '')
  for (const [, tag] of ifNoneMatch.matchAll(ENTITY_TAG)) if (tag === opaque) return true
  return false
}
