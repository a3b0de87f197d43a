/** Whether a token may send notifications: by a role of its own, whoever its user is. */
import type { VerifiedToken } from '../auth/verified-token.ts'

export type ServiceRole = {
  role: string
  /** Dots lead into objects; `undefined`: where Keycloak puts roles. */
  claim: string | undefined
  audience: string
}

export function hasServiceRole({ claims }: VerifiedToken, { role, claim, audience }: ServiceRole): boolean {
  const paths =
    claim === undefined
      ? [
          ['realm_access', 'roles'],
          ['resource_access', audience, 'roles'],
        ]
      : [claim.split('.'), [claim]]
  return paths.some((path) => rolesAt(claims, path).includes(role))
}

/** A list, or one text with spaces between the names, as `scope` is (RFC 8693, section 4.2). */
function rolesAt(claims: Record<string, unknown>, path: string[]): unknown[] {
  let value: unknown = claims
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return []
    value = (value as Record<string, unknown>)[name]
  }
  if (typeof value === 'string') return value.split(' ')
  return Array.isArray(value) ? value : []
}
