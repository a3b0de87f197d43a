/** Which tokens verify, and that no refusal says why. */

import { createHmac, createPublicKey } from 'node:crypto'
import { exportSPKI, importJWK } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { createTokenVerifier } from '../../src/auth/token-verifier.ts'
import type { TokenIssuerConfig } from '../../src/config/config.ts'
import { ALICE, createSigningKey, IssuerServer, nowSeconds, type SigningKey, sign } from '../support/issuer-server.ts'

const logger = { warn: vi.fn(), info: vi.fn(), debug: vi.fn() }

let issuer: IssuerServer
let key: SigningKey
let stranger: SigningKey

beforeAll(async () => {
  issuer = await new IssuerServer().start()
  key = await createSigningKey('key-1')
  stranger = await createSigningKey('key-1')
  issuer.keys = [key.jwk]
})
afterAll(() => issuer.stop())
afterEach(() => {
  issuer.keys = [key.jwk]
  issuer.metadata = {}
  vi.useRealTimers()
  logger.debug.mockClear()
})

const verifierWith = (overrides: Partial<TokenIssuerConfig> = {}) =>
  createTokenVerifier(issuer.config(overrides), { logger })

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

async function expectRefused(token: string, verifier = verifierWith()): Promise<void> {
  const plain = { code: 'UNAUTHENTICATED', status: 401, message: 'A valid bearer token is required.' }
  await expect(verifier.verify(token)).rejects.toMatchObject(plain)
}

describe('a good token', () => {
  it('gives its person, times and claims', async () => {
    const exp = nowSeconds() + 60
    const token = await sign(key, issuer.url, { exp, iat: 1_700_000_000, preferred_username: 'alice' })
    const verified = await verifierWith().verify(token)
    expect(verified).toMatchObject({ userId: ALICE, expiresAt: exp * 1000, issuedAt: 1_700_000_000 })
    expect(verified.claims['preferred_username']).toBe('alice')
  })

  it('keeps those of its claims that are asked for later', async () => {
    const token = await sign(key, issuer.url, { preferred_username: 'alice', scope: 'all', nonce: 'x' })
    const nameOf = (claims: Record<string, unknown>) => `${claims['preferred_username']}`
    const verifier = createTokenVerifier(issuer.config(), { logger, nameOf, claims: ['scope', 'roles'] })
    for (const _ of ['verified', 'remembered'])
      expect(await verifier.verify(token)).toMatchObject({ name: 'alice', claims: { scope: 'all' } })
    expect((await verifier.verify(token)).claims).toEqual({ scope: 'all' })
  })

  it('may have its audience among others, and no iat', async () => {
    const token = await sign(key, issuer.url, { aud: ['other', 'account'], iat: undefined })
    expect((await verifierWith().verify(token)).issuedAt).toBe(0)
  })

  it('may be signed with any of the allowed algorithms', async () => {
    const elliptic = await createSigningKey('elliptic', 'ES256')
    issuer.keys = [key.jwk, elliptic.jwk]
    expect((await verifierWith().verify(await sign(elliptic, issuer.url))).userId).toBe(ALICE)
  })

  it('without kid is tried with every key that fits', async () => {
    const other = await createSigningKey('other')
    issuer.keys = [other.jwk, key.jwk]
    const verifier = verifierWith()
    expect((await verifier.verify(await sign(key, issuer.url, {}, { kid: undefined }))).userId).toBe(ALICE)
    await expectRefused(await sign(stranger, issuer.url, {}, { kid: undefined }), verifier)
  })

  it('is within the leeway on both sides', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const token = await sign(key, issuer.url, { exp: nowSeconds() - 3, nbf: nowSeconds() + 3 })
    expect((await verifierWith().verify(token)).userId).toBe(ALICE)
  })
})

describe('a bad token', () => {
  it('signed with another key under the same kid', async () => expectRefused(await sign(stranger, issuer.url)))

  it('whose claims were changed', async () => {
    const [header, , signature] = (await sign(key, issuer.url)).split('.')
    const claims = { iss: issuer.url, aud: 'account', sub: crypto.randomUUID(), exp: nowSeconds() + 300 }
    await expectRefused(`${header}.${base64url(claims)}.${signature}`)
  })

  it.each(['none', 'None', ''])('with alg %j', async (alg) => {
    const [, claims] = (await sign(key, issuer.url)).split('.')
    await expectRefused(`${base64url({ alg, kid: key.kid })}.${claims}.`)
  })

  it('HS256, keyed with the public key', async () => {
    const [, claims] = (await sign(key, issuer.url)).split('.')
    const signed = `${base64url({ alg: 'HS256', kid: key.kid })}.${claims}`
    const publicKey = (await importJWK(key.jwk, 'RS256', { extractable: true })) as Parameters<typeof exportSPKI>[0]
    const secrets = [
      await exportSPKI(publicKey),
      createPublicKey(await exportSPKI(publicKey)).export({ type: 'spki', format: 'der' }),
    ]
    for (const secret of secrets) {
      await expectRefused(`${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`)
    }
  })

  it('with an algorithm that is not allowed', async () => {
    await expectRefused(await sign(key, issuer.url), verifierWith({ algorithms: ['ES256'] }))
  })

  it.each([
    ['of another issuer', { iss: 'https://elsewhere.example' }],
    ['without issuer', { iss: undefined }],
    ['for another audience', { aud: 'other' }],
    ['for other audiences', { aud: ['other', 'another'] }],
    ['without audience', { aud: undefined }],
    ['expired', { exp: nowSeconds() - 60 }],
    ['without exp', { exp: undefined }],
    ['with exp as text', { exp: '9999999999' }],
    ['not yet valid', { nbf: nowSeconds() + 60 }],
    ['with nbf as text', { nbf: '0' }],
    ['without sub', { sub: undefined }],
    ['whose sub is no UUID', { sub: 'alice' }],
    ['whose sub is a number', { sub: 42 }],
  ])('%s', async (_, claims) => expectRefused(await sign(key, issuer.url, claims)))

  it('of an unknown kid', async () => expectRefused(await sign(key, issuer.url, {}, { kid: 'unknown' })))

  it.each(['', 'x', 'a.b', 'a.b.c', '..', 'a.b.c.d.e'])('%j', async (token) => expectRefused(token))

  it('over 8 KiB, before any work', async () => {
    const untouched = await new IssuerServer().start()
    const verifier = createTokenVerifier(untouched.config(), { logger })
    const token = await sign(key, untouched.url, { padding: 'x'.repeat(9000) })
    await expectRefused(token, verifier)
    expect(untouched.requests.discovery).toBe(0)
    await untouched.stop()
  })

  it('is told apart in the debug log alone, which never shows it', async () => {
    const token = await sign(key, issuer.url, { aud: 'secret-audience' })
    await expectRefused(token)
    expect(logger.debug).toHaveBeenCalledWith({ reason: 'ERR_JWT_CLAIM_VALIDATION_FAILED aud' }, 'token refused')
    expect(JSON.stringify(logger.debug.mock.calls)).not.toMatch(/secret-audience|eyJ/)
  })
})

describe('sub', () => {
  it('is a UUID of any case', async () => {
    const token = await sign(key, issuer.url, { sub: ALICE.toUpperCase() })
    expect((await verifierWith().verify(token)).userId).toBe(ALICE)
  })

  it('is mapped by issuer, for ever to the same UUID, where that is allowed', async () => {
    const verifier = verifierWith({ issuer: 'https://id.example', mapSubjects: true })
    issuer.metadata = { issuer: 'https://id.example' }
    const userIdFor = async (sub: unknown) =>
      (await verifier.verify(await sign(key, 'https://id.example', { sub }))).userId
    expect(await userIdFor('auth0|12345')).toBe('295e3506-fae7-5a6d-a996-df1caf70afe0')
    expect(await userIdFor('auth0|12346')).not.toBe(await userIdFor('auth0|12345'))
    expect(await userIdFor(ALICE.toUpperCase())).toBe(ALICE)
    await expectRefused(await sign(key, 'https://id.example', { sub: '' }), verifier)
    await expectRefused(await sign(key, 'https://id.example', { sub: 42 }), verifier)
  })
})

describe('what was verified before', () => {
  it('is not verified again, but its times are judged at every use', async () => {
    const verifier = verifierWith()
    const token = await sign(key, issuer.url, { nbf: nowSeconds(), exp: nowSeconds() + 60 })
    const first = await verifier.verify(token)
    expect(await verifier.verify(token)).toBe(first)
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 })
    expect(await verifier.verify(token)).toBe(first)
    vi.setSystemTime(Date.now() + 6_000)
    await expectRefused(token, verifier)
    vi.setSystemTime(Date.now() - 3_600_000)
    await expectRefused(token, verifier)
  })

  it('is verified once, however many ask at the same time', async () => {
    const verifier = verifierWith()
    const token = await sign(key, issuer.url)
    const results = await Promise.all(Array.from({ length: 20 }, () => verifier.verify(token)))
    expect(new Set(results).size).toBe(1)
  })

  it('does not share a failure with what comes later', async () => {
    const verifier = verifierWith()
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 3_600_000 })
    const token = await sign(key, issuer.url, { nbf: nowSeconds() + 600, exp: nowSeconds() + 7200 })
    await expectRefused(token, verifier)
    vi.useRealTimers()
    expect((await verifier.verify(token)).userId).toBe(ALICE)
  })
})
