/** The bearer token of a request. */

import { unauthenticated } from '../shared/app-error.ts'

/** `credentials` of RFC 6750, section 2.1; the scheme's case does not matter (RFC 9110, section 11.1). */
const CREDENTIALS = /^Bearer +([A-Za-z0-9._~+/-]+=*)[ \t]*$/i

/**
 * The token in an Authorization header's value.
 *
 * @throws AppError UNAUTHENTICATED where there is none, another scheme or anything beside one token
 */
export function bearerToken(authorization: string | undefined): string {
  const token = CREDENTIALS.exec(authorization ?? '')?.[1]
  if (token === undefined) throw unauthenticated()
  return token
}
