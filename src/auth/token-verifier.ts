/** Verifies bearer tokens against the keys of the configured issuer, and remembers those that passed. */
import { hash } from 'node:crypto'
import { type CryptoKey, decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose'
import { LRUCache } from 'lru-cache'
import type { TokenIssuerConfig } from '../config/config.ts'
import { AppError, unauthenticated } from '../shared/app-error.ts'
import { type AuthLogger, IssuerKeys, type KeySet } from './issuer-keys.ts'
import { userIdOf } from './subject.ts'
import type { TokenVerifier, VerifiedToken } from './verified-token.ts'

const MAX_TOKEN_LENGTH = 8 * 1024
const MAX_REMEMBERED = 50_000
/** In characters of token text, of which what is kept is a part. */
const MAX_REMEMBERED_LENGTH = 32 * 1024 * 1024

type Remembered = VerifiedToken & { notBefore: number; generation: number }

const NO_CLAIMS = Object.freeze({})

export type TokenVerifierOptions = {
  logger: AuthLogger
  /** What its claims call the person. */
  nameOf?: (claims: JWTPayload) => string | undefined
  /** Those that are asked for later beside the name, of which a token may have many; otherwise all are kept. */
  claims?: readonly string[] | undefined
}

/**
 * `check` asks the issuer for its keys now and rejects with what is wrong, for the operator; `close` ends what is
 * being fetched. Nothing is fetched before the first token.
 */
export function createTokenVerifier(
  config: TokenIssuerConfig,
  options: TokenVerifierOptions,
): TokenVerifier & { check(): Promise<void>; close(): void } {
  const keys = new IssuerKeys(config, options.logger)
  const verifier = new CachingTokenVerifier(config, keys, options)
  return {
    verify: (token) => verifier.verify(token),
    check: () => keys.check(),
    close: () => keys.close(),
  }
}

class CachingTokenVerifier implements TokenVerifier {
  readonly #config: TokenIssuerConfig
  readonly #keys: IssuerKeys
  readonly #logger: AuthLogger
  readonly #nameOf: (claims: JWTPayload) => string | undefined
  readonly #claims: readonly string[] | undefined
  /** By the token's digest, which is a fraction of its size, and no secret. */
  readonly #remembered = new LRUCache<string, Remembered>({ max: MAX_REMEMBERED, maxSize: MAX_REMEMBERED_LENGTH })
  readonly #verifying = new Map<string, Promise<VerifiedToken>>()

  constructor(
    config: TokenIssuerConfig,
    keys: IssuerKeys,
    { logger, nameOf = () => undefined, claims }: TokenVerifierOptions,
  ) {
    this.#config = config
    this.#keys = keys
    this.#logger = logger
    this.#nameOf = nameOf
    this.#claims = claims
  }

  async verify(token: string): Promise<VerifiedToken> {
    if (token.length > MAX_TOKEN_LENGTH) throw this.#refused('longer than 8 KiB')
    const digest = hash('sha256', token, 'binary')
    const remembered = this.#remembered.get(digest)
    if (remembered && remembered.generation === this.#keys.known()?.generation) {
      if (!this.#isWithin(remembered.notBefore, remembered.expiresAt)) throw this.#refused('expired')
      return remembered
    }
    let verifying = this.#verifying.get(digest)
    if (verifying === undefined) {
      verifying = this.#verifyNew(token, digest).finally(() => this.#verifying.delete(digest))
      this.#verifying.set(digest, verifying)
    }
    return await verifying
  }

  async #verifyNew(token: string, digest: string): Promise<VerifiedToken> {
    this.#refuseHopeless(token)
    const keySet = await this.#keys.get()
    let verified: { payload: JWTPayload; keySet: KeySet }
    try {
      verified = await this.#verifyWithNewest(token, keySet)
    } catch (error) {
      throw error instanceof AppError ? error : this.#refused(reasonOf(error))
    }
    const { payload } = verified
    const userId = userIdOf(payload.sub, this.#config.issuer, this.#config.mapSubjects)
    if (userId === undefined) throw this.#refused('sub is no UUID')
    const remembered: Remembered = {
      userId,
      expiresAt: Number(payload.exp) * 1000,
      // A NumericDate may have a fraction (RFC 7519, section 2).
      issuedAt: Math.floor(payload.iat ?? 0),
      name: this.#nameOf(payload),
      claims: this.#kept(payload),
      notBefore: (payload.nbf ?? 0) * 1000,
      generation: verified.keySet.generation,
    }
    this.#remembered.set(digest, remembered, { size: token.length })
    return remembered
  }

  #kept(payload: JWTPayload): Record<string, unknown> {
    if (!this.#claims) return payload
    const kept = this.#claims.filter((name) => Object.hasOwn(payload, name)).map((name) => [name, payload[name]])
    return kept.length > 0 ? Object.fromEntries(kept) : NO_CLAIMS
  }

  /** What its own claims rule out, signed or not, does not make ISM ask the issuer for keys. */
  #refuseHopeless(token: string): void {
    let claims: JWTPayload
    try {
      claims = decodeJwt(token)
    } catch {
      throw this.#refused('no JWT')
    }
    if (claims.iss !== this.#config.issuer) throw this.#refused('other issuer')
    if (typeof claims.exp !== 'number' || !this.#isWithin(0, claims.exp * 1000)) throw this.#refused('expired')
  }

  async #verifyWithNewest(token: string, keySet: KeySet): Promise<{ payload: JWTPayload; keySet: KeySet }> {
    try {
      return { payload: await this.#verifyWith(token, keySet), keySet }
    } catch (error) {
      const newer = isUnknownKey(error, token) ? await this.#keys.newerThan(keySet) : undefined
      if (newer === undefined) throw error
      return { payload: await this.#verifyWith(token, newer), keySet: newer }
    }
  }

  async #verifyWith(token: string, { getKey }: KeySet): Promise<JWTPayload> {
    const { issuer, audience, algorithms, leewaySeconds } = this.#config
    const options = { issuer, audience, algorithms, clockTolerance: leewaySeconds, requiredClaims: ['exp', 'sub'] }
    try {
      return (await jwtVerify(token, getKey, options)).payload
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error
      return await verifyWithAny(error, async (key) => (await jwtVerify(token, key, options)).payload)
    }
  }

  /** As jose judges `nbf` and `exp`, but of a token that it passed at another time. Both in milliseconds. */
  #isWithin(notBefore: number, expiresAt: number): boolean {
    const now = Math.floor(Date.now() / 1000) * 1000
    const leeway = this.#config.leewaySeconds * 1000
    return notBefore <= now + leeway && expiresAt > now - leeway
  }

  #refused(reason: string) {
    this.#logger.debug({ reason }, 'token refused')
    return unauthenticated()
  }
}

/** A token without `kid` is tried with each key that its algorithm fits (RFC 7515, section 4.1.4). */
async function verifyWithAny(
  candidates: errors.JWKSMultipleMatchingKeys,
  verify: (key: CryptoKey) => Promise<JWTPayload>,
): Promise<JWTPayload> {
  for await (const key of candidates) {
    try {
      return await verify(key)
    } catch (error) {
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error
    }
  }
  throw new errors.JWSSignatureVerificationFailed()
}

/** A `kid` that is in no key, or no `kid` and no key that fits: the issuer may have changed its keys. */
function isUnknownKey(error: unknown, token: string): boolean {
  if (error instanceof errors.JWKSNoMatchingKey) return true
  return error instanceof errors.JWSSignatureVerificationFailed && decodeProtectedHeader(token).kid === undefined
}

/** Never the error itself: jose's bears the claims. A key that cannot be imported is no error of jose's own. */
function reasonOf(error: unknown): string {
  if (!(error instanceof errors.JOSEError)) return `key: ${error instanceof Error ? error.message : String(error)}`
  return 'claim' in error ? `${error.code} ${error.claim}` : error.code
}
