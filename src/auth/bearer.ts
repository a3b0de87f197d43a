/** The bearer token of a request. */

import { unauthenticated } from '../shared/app-error.ts'

const SCHEME = 'bearer '

/**
 * The token in an Authorization header's value (RFC 6750, section 2.1; the scheme's case does not matter, RFC 9110,
 * section 11.1). Its characters are left to the verifier: no JWT has others than `b64token` allows.
 *
 * @throws AppError UNAUTHENTICATED where there is none, another scheme or anything beside one token
 */
export function bearerToken(authorization: string | undefined): string {
  if (authorization?.slice(0, SCHEME.length).toLowerCase() !== SCHEME) throw unauthenticated()
  const token = authorization.slice(SCHEME.length).trim()
  if (token === '' || token.includes(' ') || token.includes(',')) throw unauthenticated()
  return token
}
