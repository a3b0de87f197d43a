/** Whether a token may send notifications: by a role of its own, whoever its user is. */
import type { VerifiedToken } from '../auth/verified-token.ts'
import type { Config } from '../config/config.ts'

export type ServiceRole = {
  role: string
  /** Dots lead into objects; `undefined`: where Keycloak puts roles. */
  claim: string | undefined
  audience: string
}

/** @returns `undefined` where no token may */
export function serviceRoleOf({ webhook, tokenIssuer }: Config): ServiceRole | undefined {
  const { serviceRole, serviceRoleClaim } = webhook
  return serviceRole ? { role: serviceRole, claim: serviceRoleClaim, audience: tokenIssuer.audience } : undefined
}

export function hasServiceRole({ claims }: VerifiedToken, wanted: ServiceRole): boolean {
  return pathsOf(wanted).some((path) => rolesAt(claims, path).includes(wanted.role))
}

/** The names of the claims that `hasServiceRole` looks at. */
export function claimsWithRoles(wanted: ServiceRole): string[] {
  return pathsOf(wanted).map(([name]) => name)
}

function pathsOf({ claim, audience }: ServiceRole): [string, ...string[]][] {
  if (claim === undefined)
    return [
      ['realm_access', 'roles'],
      ['resource_access', audience, 'roles'],
    ]
  const [name = claim, ...others] = claim.split('.')
  return [[name, ...others], [claim]]
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
