/** Whom a token's `sub` means. */

import { v5 } from 'uuid'
import { parseUuid } from '../shared/ids.ts'

/** Of the UUIDs that subjects are mapped to. Never to be changed: every mapped person would become another one. */
const SUBJECT_NAMESPACE = '8f0d5a3e-7c52-4b6b-9d0e-3a1f6c2b7e94'

const LONE_SURROGATE = /\p{Cs}/u

/**
 * The user id: `sub` itself where it is a UUID, in lower case. Otherwise, and only where `mapSubjects` is set, the
 * UUID v5 (RFC 9562, section 5.5) of `<issuer>\n<sub>` in UTF-8 in ISM's namespace, the same on every node and for ever.
 *
 * @returns `undefined` where the subject is to be refused
 */
export function userIdOf(sub: unknown, issuer: string, mapSubjects: boolean): string | undefined {
  const uuid = parseUuid(sub)
  if (uuid !== undefined) return uuid
  // UTF-8 has no lone surrogates: different subjects that have them would become the same person.
  if (!mapSubjects || typeof sub !== 'string' || sub === '' || LONE_SURROGATE.test(sub)) return undefined
  return v5(`${issuer}\n${sub}`, SUBJECT_NAMESPACE)
}
