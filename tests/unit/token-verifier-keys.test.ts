/** Where the keys come from: discovery, rotation, and an issuer that is down. */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createTokenVerifier } from '../../src/auth/token-verifier.ts'
import type { TokenIssuerConfig } from '../../src/config/config.ts'
import { ALICE, createSigningKey, IssuerServer, nowSeconds, type SigningKey, sign } from '../support/issuer-server.ts'

const MINUTE = 60_000

const logger = { warn: vi.fn(), info: vi.fn(), debug: vi.fn() }
const [first, second] = await Promise.all([createSigningKey('first'), createSigningKey('second')])

let issuer: IssuerServer
const verifiers: { close(): void }[] = []

beforeEach(async () => {
  issuer = await new IssuerServer().start()
  issuer.keys = [first.jwk]
  logger.warn.mockClear()
  vi.useFakeTimers({ toFake: ['Date', 'performance'] })
})
afterEach(async () => {
  vi.useRealTimers()
  for (const verifier of verifiers.splice(0)) verifier.close()
  await issuer.stop()
})

function verifierWith(overrides: Partial<TokenIssuerConfig> = {}) {
  const verifier = createTokenVerifier(issuer.config(overrides), { logger })
  verifiers.push(verifier)
  return verifier
}

const down = () => {
  issuer.intercept = (_, res) => {
    res.writeHead(503).end()
    return true
  }
}
const up = () => {
  issuer.intercept = () => false
}

/** Each time another token, so that none is remembered. */
let serial = 0
function fresh(key: SigningKey, claims: Record<string, unknown> = {}, header: { kid?: string | undefined } = {}) {
  serial += 1
  return sign(key, issuer.url, { jti: String(serial), exp: nowSeconds() + 86_400, ...claims }, header)
}

const REFUSED = { code: 'UNAUTHENTICATED' }
const UNREACHABLE = { code: 'SERVICE_UNAVAILABLE', status: 503 }

describe('fetching', () => {
  it('waits for the first token and happens once for many', async () => {
    const verifier = verifierWith()
    expect(issuer.requests).toEqual({ discovery: 0, jwks: 0 })
    const tokens = await Promise.all([fresh(first), fresh(first), fresh(first)])
    await Promise.all(tokens.map((token) => verifier.verify(token)))
    expect(issuer.requests).toEqual({ discovery: 1, jwks: 1 })
  })

  it('is not provoked by tokens that cannot verify anyway', async () => {
    const verifier = verifierWith()
    await expect(verifier.verify(await fresh(first, { iss: 'https://x.example' }))).rejects.toMatchObject(REFUSED)
    await expect(verifier.verify(await fresh(first, { exp: nowSeconds() - 60 }))).rejects.toMatchObject(REFUSED)
    expect(issuer.requests.discovery).toBe(0)
  })

  it.each([
    ['of another issuer', { issuer: 'https://elsewhere.example' }],
    ['with a final slash too many', { issuer: 'http://127.0.0.1/' }],
    ['without jwks_uri', { jwks_uri: undefined }],
    ['with a jwks_uri that is none', { jwks_uri: 'nowhere' }],
  ])('refuses a discovery document %s', async (_, metadata) => {
    issuer.metadata = metadata
    const verifier = verifierWith()
    await expect(verifier.verify(await fresh(first))).rejects.toMatchObject(UNREACHABLE)
    await expect(verifier.check()).rejects.toThrow(/issuer|jwks_uri/)
    expect(issuer.requests.jwks).toBe(0)
  })

  it('refuses what is no JSON', async () => {
    issuer.intercept = (_req, res) => {
      res.end('<html>')
      return true
    }
    await expect(verifierWith().verify(await fresh(first))).rejects.toMatchObject(UNREACHABLE)
    expect(logger.warn).toHaveBeenCalledOnce()
  })

  it('refuses more than 1 MiB', async () => {
    issuer.metadata = { padding: 'x'.repeat(1 << 20) }
    await expect(verifierWith().verify(await fresh(first))).rejects.toMatchObject(UNREACHABLE)
    expect(logger.warn.mock.calls[0]?.[0]).toMatchObject({ reason: expect.stringMatching(/more than 1048576 bytes/) })
  })

  it('follows no redirect', async () => {
    issuer.intercept = (req, res) => {
      if (req.url !== '/.well-known/openid-configuration') return false
      res.writeHead(302, { location: '/elsewhere' }).end()
      return true
    }
    await expect(verifierWith().verify(await fresh(first))).rejects.toMatchObject(UNREACHABLE)
    expect(issuer.requests.discovery).toBe(0)
  })

  it('replaces the outside name of the provider by the one that ISM reaches it by', async () => {
    const outside = 'https://id.example/realms/x'
    issuer.metadata = { issuer: outside, jwks_uri: 'https://id.example/jwks' }
    const verifier = verifierWith({ issuer: outside })
    expect((await verifier.verify(await fresh(first, { iss: outside }))).userId).toBe(ALICE)
  })

  it('takes a provider that calls itself by the name that ISM reaches it by', async () => {
    const outside = 'https://id.example/realms/x'
    const verifier = verifierWith({ issuer: outside })
    expect((await verifier.verify(await fresh(first, { iss: outside }))).userId).toBe(ALICE)
  })

  it('follows a jwks_uri elsewhere', async () => {
    const keyServer = await new IssuerServer().start()
    keyServer.keys = [first.jwk]
    issuer.metadata = { jwks_uri: `${keyServer.url}/jwks` }
    expect((await verifierWith().verify(await fresh(first))).userId).toBe(ALICE)
    expect(keyServer.requests.jwks).toBe(1)
    await keyServer.stop()
  })
})

describe('rotation', () => {
  it('finds a new key at its first token, then not again within the cool-down', async () => {
    const verifier = verifierWith({ keyCooldownSeconds: 30 })
    await verifier.verify(await fresh(first))
    issuer.keys = [first.jwk, second.jwk]
    expect((await verifier.verify(await fresh(second))).userId).toBe(ALICE)
    expect(issuer.requests.jwks).toBe(2)

    for (const kid of ['a', 'b', 'c']) {
      await expect(verifier.verify(await fresh(second, {}, { kid }))).rejects.toMatchObject(REFUSED)
    }
    expect(issuer.requests.jwks).toBe(2)
    vi.advanceTimersByTime(31_000)
    await expect(verifier.verify(await fresh(second, {}, { kid: 'd' }))).rejects.toMatchObject(REFUSED)
    expect(issuer.requests.jwks).toBe(3)
  })

  it('finds a new key for a token without kid', async () => {
    const verifier = verifierWith()
    await verifier.verify(await fresh(first, {}, { kid: undefined }))
    issuer.keys = [second.jwk]
    expect((await verifier.verify(await fresh(second, {}, { kid: undefined }))).userId).toBe(ALICE)
  })

  it('ends what a removed key signed, remembered or not', async () => {
    const verifier = verifierWith()
    const remembered = await fresh(first)
    await verifier.verify(remembered)
    issuer.keys = [second.jwk]
    await verifier.verify(await fresh(second))
    await expect(verifier.verify(remembered)).rejects.toMatchObject(REFUSED)
    await expect(verifier.verify(await fresh(first))).rejects.toMatchObject(REFUSED)
  })

  it('is noticed every ten minutes by what is remembered alone', async () => {
    const verifier = verifierWith()
    const token = await fresh(first)
    const verified = await verifier.verify(token)
    issuer.keys = [second.jwk]
    vi.advanceTimersByTime(9 * MINUTE)
    expect(await verifier.verify(token)).toBe(verified)
    expect(issuer.requests.jwks).toBe(1)
    vi.advanceTimersByTime(2 * MINUTE)
    expect(await verifier.verify(token)).toBe(verified)
    await vi.waitFor(async () => expect(verifier.verify(token)).rejects.toMatchObject(REFUSED), 8_000)
  })

  it('keeps what other keys signed', async () => {
    issuer.keys = [first.jwk, second.jwk]
    const verifier = verifierWith()
    const token = await fresh(second)
    await verifier.verify(token)
    issuer.keys = [second.jwk]
    await verifier.check()
    expect((await verifier.verify(token)).userId).toBe(ALICE)
  })
})

describe('an issuer that is down', () => {
  it('stops nobody whose key is known, however long', async () => {
    const verifier = verifierWith()
    await verifier.verify(await fresh(first))
    down()
    for (const minutes of [11, 60, 600]) {
      vi.advanceTimersByTime(minutes * MINUTE)
      expect((await verifier.verify(await fresh(first))).userId).toBe(ALICE)
    }
    await vi.waitFor(() => expect(logger.warn).toHaveBeenCalled(), 8_000)
    expect((await verifier.verify(await fresh(first))).userId).toBe(ALICE)
  })

  it('makes an unknown key 503 with Retry-After, also within the cool-down', async () => {
    const verifier = verifierWith({ keyCooldownSeconds: 30 })
    await verifier.verify(await fresh(first))
    down()
    await expect(verifier.verify(await fresh(second))).rejects.toMatchObject({ ...UNREACHABLE, retryAfter: 30 })
    vi.advanceTimersByTime(10_000)
    await expect(verifier.verify(await fresh(second))).rejects.toMatchObject({ ...UNREACHABLE, retryAfter: 20 })
    expect(logger.warn).toHaveBeenCalledOnce()
  })

  it('is one that answers without a single key, as on its way up: nobody is signed out', async () => {
    const verifier = verifierWith()
    const remembered = await fresh(first)
    await verifier.verify(remembered)
    issuer.keys = []
    vi.advanceTimersByTime(11 * MINUTE)
    await verifier.verify(remembered)
    await vi.waitFor(() => expect(issuer.requests.jwks).toBe(2))
    await vi.waitFor(() => expect(logger.warn).toHaveBeenCalledOnce())
    expect((await verifier.verify(remembered)).userId).toBe(ALICE)
    expect((await verifier.verify(await fresh(first))).userId).toBe(ALICE)
    await expect(verifier.verify(await fresh(second))).rejects.toMatchObject(UNREACHABLE)
  })

  it('is asked again after two seconds where no key is known, and then works', async () => {
    down()
    const verifier = verifierWith()
    await expect(verifier.verify(await fresh(first))).rejects.toMatchObject({ ...UNREACHABLE, retryAfter: 2 })
    up()
    await expect(verifier.verify(await fresh(first))).rejects.toMatchObject(UNREACHABLE)
    vi.advanceTimersByTime(2001)
    expect((await verifier.verify(await fresh(first))).userId).toBe(ALICE)
  })

  it('has no address in what the caller sees', async () => {
    const error = await verifierWith({ issuer: 'http://127.0.0.1:1', discoveryUrl: 'http://127.0.0.1:1/x' })
      .verify(await fresh(first, { iss: 'http://127.0.0.1:1' }))
      .catch((thrown: unknown) => thrown)
    expect(error).toMatchObject(UNREACHABLE)
    expect((error as Error).message).not.toMatch(/127\.0|http/)
    expect(logger.warn.mock.calls[0]?.[0]).toMatchObject({ reason: expect.stringMatching(/ECONNREFUSED|bad port/) })
  })
})

describe('check and close', () => {
  it('says what is wrong', async () => {
    await expect(verifierWith().check()).resolves.toBeUndefined()
    issuer.keys = []
    await expect(verifierWith().check()).rejects.toThrow('publishes no keys')
    down()
    await expect(verifierWith().check()).rejects.toThrow('HTTP 503')
  })

  it('ends a fetch that hangs', async () => {
    issuer.intercept = () => true
    const verifier = verifierWith()
    const verifying = expect(verifier.verify(await fresh(first))).rejects.toMatchObject(UNREACHABLE)
    verifier.close()
    await verifying
    expect(logger.warn).not.toHaveBeenCalled()
  })
})
