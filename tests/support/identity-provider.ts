/** What tests ask of an identity provider: each real one has these clients and users, so that one suite fits all. */

export type ClientName = 'app' | 'short-lived' | 'own-audience' | 'es256' | 'eddsa'

/** Public clients with the password grant; by default tokens are for `account`, signed with RS256, good for minutes. */
export const CLIENTS: Record<
  ClientName,
  { lifespanSeconds?: number; audience?: string; algorithm?: 'ES256' | 'EdDSA' }
> = {
  app: {},
  'short-lived': { lifespanSeconds: 3 },
  'own-audience': { audience: 'chat' },
  es256: { algorithm: 'ES256' },
  eddsa: { algorithm: 'EdDSA' },
}

/** `preferred_username`, with the `sub` and `given_name` of each. */
export const USERS = {
  alice: { sub: '0a11ce00-0000-4000-8000-000000000011', givenName: 'Alice' },
  bob: { sub: '00000b0b-0000-4000-8000-000000000012', givenName: 'Bob' },
  carol: { sub: '000ca401-0000-4000-8000-000000000013', givenName: 'Carol' },
  dan: { sub: '0000da40-0000-4000-8000-000000000014', givenName: 'Dan' },
  erin: { sub: 'auth0|erin', givenName: 'Erin' },
} as const

export type UserName = keyof typeof USERS

export const PASSWORD = 'correct horse battery staple'

export type IdentityProvider = {
  /** `[token_issuer]` as an operator may write it; each way names this issuer. */
  ways: Record<string, Record<string, unknown>>
  /** The path of its key set. */
  keysPath: string
  /** @returns an access token; rejects where the provider refuses the user */
  login(user: UserName, client?: ClientName): Promise<string>
  /** An access token of another issuer, for the same audience. */
  loginElsewhere(): Promise<string>
  /** From now on another RS256 key signs; the one before stays published. */
  rotateKey(): Promise<void>
  /** Publishes the RS256 keys no more that no longer sign. */
  removeOldKeys(): Promise<void>
  /** From now on the user cannot log in. */
  disable(user: UserName): Promise<void>
  close(): Promise<void>
}

export type Credentials = { client: string; user: string; password: string }
export type Tokens = { access_token: string; refresh_token: string; id_token: string }

/** Logs in by password (RFC 6749, section 4.3); which of the tokens there are is up to the provider. */
export async function requestTokens(tokenEndpoint: string, { client, user, password }: Credentials): Promise<Tokens> {
  const form = { grant_type: 'password', client_id: client, username: user, password, scope: 'openid' }
  const response = await fetch(tokenEndpoint, { method: 'POST', body: new URLSearchParams(form) })
  if (!response.ok) throw new Error(`${user} is refused: ${await response.text()}`)
  return (await response.json()) as Tokens
}
