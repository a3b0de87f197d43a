/** The issuer's public keys: fetched when first needed, kept for as long as nothing newer can be had. */

import { createLocalJWKSet, type JWK, type JWTVerifyGetKey } from 'jose'
import type { Logger } from 'pino'
import type { TokenIssuerConfig } from '../config/config.ts'
import { AppError } from '../shared/app-error.ts'
import { fetchKeySet } from './provider-documents.ts'

export type AuthLogger = Pick<Logger, 'warn' | 'info' | 'debug'>

/** `generation` counts up whenever a key was taken out: what was verified under an earlier one is in doubt. */
export type KeySet = { getKey: JWTVerifyGetKey; generation: number }

const REFRESH_AFTER_MS = 10 * 60_000
/** Between two background refreshes of which the first failed. */
const REFRESH_RETRY_MS = 60_000
/** Between two fetches while no key is known at all. */
const FIRST_FETCH_RETRY_MS = 2000

/** Times here are those of the monotonic clock: one that is set back must not prolong a cool-down. */
const NEVER = Number.NEGATIVE_INFINITY

export class IssuerKeys {
  readonly #config: TokenIssuerConfig
  readonly #logger: AuthLogger
  readonly #closing = new AbortController()
  #current: KeySet | undefined
  #members = new Set<string>()
  #fetching: Promise<KeySet> | undefined
  #fetchedAt = NEVER
  /** `NEVER` again once a fetch succeeds. */
  #failedAt = NEVER
  #askedForUnknownAt = NEVER

  constructor(config: TokenIssuerConfig, logger: AuthLogger) {
    this.#config = config
    this.#logger = logger
  }

  /** The keys that are known, refreshed in the background where they are old; `undefined` before the first fetch. */
  known(): KeySet | undefined {
    const now = performance.now()
    if (this.#current && now - this.#fetchedAt > REFRESH_AFTER_MS && now - this.#failedAt > REFRESH_RETRY_MS) {
      this.#fetch().catch(() => {})
    }
    return this.#current
  }

  /** The keys, fetched where none are known. @throws AppError SERVICE_UNAVAILABLE */
  async get(): Promise<KeySet> {
    const known = this.known()
    if (known) return known
    const wait = this.#failedAt + FIRST_FETCH_RETRY_MS - performance.now()
    if (this.#fetching === undefined && wait > 0) throw unreachable(wait)
    return await this.#fetch().catch((error: unknown) => {
      throw unreachable(FIRST_FETCH_RETRY_MS, error)
    })
  }

  /**
   * Newer keys than `seen`, in which a token's key was not found.
   *
   * @returns `undefined` where there are none, or where the issuer was asked for an unknown key within the cool-down
   * @throws AppError SERVICE_UNAVAILABLE where the issuer could not be asked
   */
  async newerThan(seen: KeySet): Promise<KeySet | undefined> {
    if (this.#current !== seen) return this.#current
    const now = performance.now()
    const wait = this.#askedForUnknownAt + this.#config.keyCooldownSeconds * 1000 - now
    if (this.#fetching === undefined && wait > 0) {
      if (this.#failedAt !== NEVER) throw unreachable(wait)
      return undefined
    }
    this.#askedForUnknownAt = now
    return await this.#fetch().catch((error: unknown) => {
      throw unreachable(this.#config.keyCooldownSeconds * 1000, error)
    })
  }

  /** Asks the issuer now. @throws Error that says what is wrong, for the operator */
  async check(): Promise<void> {
    await this.#fetch()
  }

  close(): void {
    this.#closing.abort(new Error('ISM is shutting down'))
  }

  #fetch(): Promise<KeySet> {
    this.#fetching ??= this.#replace().finally(() => {
      this.#fetching = undefined
    })
    return this.#fetching
  }

  async #replace(): Promise<KeySet> {
    try {
      const keySet = await fetchKeySet(this.#config, this.#closing.signal)
      const getKey = createLocalJWKSet(keySet)
      const members = new Set(keySet.keys.map(identityOf))
      const dropped = [...this.#members].some((member) => !members.has(member))
      const changed = dropped || members.size !== this.#members.size
      this.#current = { getKey, generation: (this.#current?.generation ?? 0) + (dropped ? 1 : 0) }
      this.#members = members
      this.#fetchedAt = performance.now()
      this.#failedAt = NEVER
      if (changed) this.#logger.info({ keys: members.size, dropped }, 'keys of the token issuer read')
      return this.#current
    } catch (error) {
      this.#failedAt = performance.now()
      const reason = error instanceof Error ? error.message : String(error)
      if (!this.#closing.signal.aborted) this.#logger.warn({ reason }, 'keys of the token issuer cannot be read')
      throw error
    }
  }
}

/** A key that keeps its `kid` but not its substance is another key. */
function identityOf(key: JWK): string {
  return JSON.stringify([key.kid, key.kty, key.alg, key.use, key.crv, key.n, key.e, key.x, key.y])
}

function unreachable(waitMilliseconds: number, cause?: unknown): AppError {
  const retryAfter = Math.max(1, Math.ceil(waitMilliseconds / 1000))
  return new AppError('SERVICE_UNAVAILABLE', 'The token cannot be checked at the moment.', { retryAfter, cause })
}
