/** An OpenID provider for tests of the token verifier: a real HTTP server, keys that can be changed, requests counted. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose'
import type { TokenIssuerConfig } from '../../src/config/config.ts'

export type SigningKey = { kid: string; privateKey: CryptoKeyLike; jwk: JWK }
type CryptoKeyLike = Awaited<ReturnType<typeof generateKeyPair>>['privateKey']

export async function createSigningKey(kid: string, alg = 'RS256'): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } }
}

export class IssuerServer {
  keys: JWK[] = []
  /** Overrides what the discovery document says. */
  metadata: Record<string, unknown> = {}
  /** Answers instead of the provider, where it returns true. */
  intercept: (req: IncomingMessage, res: ServerResponse) => boolean = () => false
  readonly requests = { discovery: 0, jwks: 0 }
  readonly #server = createServer((req, res) => this.#answer(req, res))

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return this
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  config(overrides: Partial<TokenIssuerConfig> = {}): TokenIssuerConfig {
    return {
      issuer: this.url,
      discoveryUrl: `${this.url}/.well-known/openid-configuration`,
      audience: 'account',
      algorithms: ['RS256', 'ES256'],
      leewaySeconds: 5,
      mapSubjects: false,
      keyCooldownSeconds: 30,
      allowQueryToken: false,
      ...overrides,
    }
  }

  #answer(req: IncomingMessage, res: ServerResponse): void {
    if (this.intercept(req, res)) return
    const isKeys = req.url === '/jwks'
    this.requests[isKeys ? 'jwks' : 'discovery'] += 1
    const metadata = { issuer: this.url, jwks_uri: `${this.url}/jwks`, ...this.metadata }
    res.setHeader('content-type', 'application/json')
    res.end(JSON.stringify(isKeys ? { keys: this.keys } : metadata))
  }
}

export const ALICE = '5b0d1c9e-3f6a-4c83-9a0e-5f1d2c3b4a59'

export const nowSeconds = () => Math.floor(Date.now() / 1000)

/** A token that verifies unless `claims` or `header` say otherwise; `undefined` leaves a claim out. */
export async function sign(
  key: SigningKey,
  issuer: string,
  claims: Record<string, unknown> = {},
  header: { kid?: string | undefined; alg?: string } = {},
): Promise<string> {
  const payload = { iss: issuer, aud: 'account', sub: ALICE, iat: nowSeconds(), exp: nowSeconds() + 300, ...claims }
  const present = Object.fromEntries(Object.entries(payload).filter(([, value]) => value !== undefined))
  const kid = 'kid' in header ? header.kid : key.kid
  return await new SignJWT(present as JWTPayload)
    .setProtectedHeader({ alg: header.alg ?? key.jwk.alg ?? 'RS256', ...(kid === undefined ? {} : { kid }) })
    .sign(key.privateKey)
}
