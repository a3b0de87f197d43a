/** The development issuer, its users and their tokens, as ISM and the `token` command meet them. */

import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createTokenVerifier } from '../../src/auth/token-verifier.ts'
import type { TokenIssuerConfig } from '../../src/config/config.ts'
import { openDataDirectory } from '../../src/embedded/data-directory.ts'
import { developmentToken } from '../../src/embedded/development-token.ts'
import { DEVELOPMENT_ISSUER, startIssuer } from '../../src/embedded/issuer.ts'
import { temporaryDirectory } from './owner.ts'

const HOUR = 3600
const silent = { warn: () => undefined, info: () => undefined, debug: () => undefined }

async function verifierFor(dataDirectory: string) {
  const issuer = await startIssuer(await openDataDirectory(dataDirectory))
  onTestFinished(() => issuer.close())
  const config: TokenIssuerConfig = {
    issuer: DEVELOPMENT_ISSUER,
    discoveryUrl: issuer.discoveryUrl,
    audience: 'account',
    algorithms: ['RS256'],
    leewaySeconds: 0,
    mapSubjects: false,
    keyCooldownSeconds: 1,
    allowQueryToken: false,
  }
  const verifier = createTokenVerifier(config, { logger: silent })
  onTestFinished(() => verifier.close())
  return { issuer, verifier }
}

test('a token printed before the first start is accepted, and after the issuer began anew too', async () => {
  const dataDirectory = await temporaryDirectory()
  const { token, userId } = await developmentToken({ dataDirectory, name: 'dora', expiresSeconds: HOUR })
  const first = await verifierFor(dataDirectory)
  const verified = await first.verifier.verify(token)
  expect(verified.userId).toBe(userId)
  expect(verified.claims).toMatchObject({ aud: 'account', preferred_username: 'dora', name: 'dora' })
  expect(verified.expiresAt / 1000 - verified.issuedAt).toBe(HOUR)

  await first.issuer.close()
  const second = await verifierFor(dataDirectory)
  expect((await second.verifier.verify(token)).userId).toBe(userId)
  expect(second.issuer.discoveryUrl).toBe(first.issuer.discoveryUrl)
})

test('a port that is taken meanwhile costs no token', async () => {
  const dataDirectory = await temporaryDirectory()
  const first = await verifierFor(dataDirectory)
  const second = await verifierFor(dataDirectory)
  expect(second.issuer.discoveryUrl).not.toBe(first.issuer.discoveryUrl)
  const { token } = await developmentToken({ dataDirectory, name: 'dora', expiresSeconds: HOUR })
  await expect(second.verifier.verify(token)).resolves.toBeDefined()
})

test("another data directory's token is refused", async () => {
  const { verifier } = await verifierFor(await temporaryDirectory())
  const other = await developmentToken({ dataDirectory: await temporaryDirectory(), name: 'eve', expiresSeconds: HOUR })
  await expect(verifier.verify(other.token)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
})

test('a display name is remembered until another one is given, and the person stays the same', async () => {
  const dataDirectory = await temporaryDirectory()
  const { verifier } = await verifierFor(dataDirectory)
  const shown = async (displayName?: string) => {
    const { token } = await developmentToken({ dataDirectory, name: 'dora', displayName, expiresSeconds: HOUR })
    const { claims, userId } = await verifier.verify(token)
    return { name: claims['preferred_username'], userId }
  }
  const first = await shown()
  expect(first.name).toBe('dora')
  expect(await shown('Дора 🦊')).toEqual({ name: 'Дора 🦊', userId: first.userId })
  expect(await shown()).toEqual({ name: 'Дора 🦊', userId: first.userId })
  expect(await shown('Dora')).toEqual({ name: 'Dora', userId: first.userId })
})

test('people made at the same time are all kept', async () => {
  const dataDirectory = await temporaryDirectory()
  const names = ['__proto__', 'constructor', ...Array.from({ length: 12 }, (_, index) => `person ${index}`)]
  const make = (name: string) => developmentToken({ dataDirectory, name, expiresSeconds: HOUR })
  const made = await Promise.all([...names, ...names].map(make))
  const again = await Promise.all(names.map(make))
  expect(again.map(({ userId }) => userId)).toEqual(made.slice(0, names.length).map(({ userId }) => userId))
  expect(made.slice(names.length).map(({ userId }) => userId)).toEqual(again.map(({ userId }) => userId))
  expect(new Set(again.map(({ userId }) => userId)).size).toBe(names.length)
})

test('names without sense are refused', async () => {
  const dataDirectory = await temporaryDirectory()
  for (const name of ['', '  ', 'a\nb', '\u0000', 'x'.repeat(101), '\ud800'])
    await expect(developmentToken({ dataDirectory, name, expiresSeconds: HOUR })).rejects.toThrow(/^NAME must/)
  await expect(
    developmentToken({ dataDirectory, name: 'dora', displayName: 'a\tb', expiresSeconds: HOUR }),
  ).rejects.toThrow(/^The display name must/)
  await expect(developmentToken({ dataDirectory, name: 'dora', expiresSeconds: 0 })).rejects.toThrow(/a second/)
  await expect(developmentToken({ dataDirectory, name: '🦊'.repeat(100), expiresSeconds: 1 })).resolves.toBeDefined()
})

test('its documents hold the public key alone; the private one is only its owner’s to read', async () => {
  const dataDirectory = await temporaryDirectory()
  const { issuer } = await verifierFor(dataDirectory)
  const metadata = (await (await fetch(issuer.discoveryUrl)).json()) as { issuer: string; jwks_uri: string }
  expect(metadata.issuer).toBe(DEVELOPMENT_ISSUER)
  const keySet = (await (await fetch(metadata.jwks_uri)).json()) as { keys: object[] }
  expect(keySet.keys.map((key) => Object.keys(key).sort())).toEqual([['alg', 'e', 'kid', 'kty', 'n', 'use']])
  expect((await fetch(new URL('/token', issuer.discoveryUrl), { method: 'POST' })).status).toBe(404)
  const file = join(dataDirectory, 'issuer-key.json')
  expect((await stat(file)).mode & 0o077).toBe(0)
  expect(Buffer.from(JSON.parse(await readFile(file, 'utf8')).n, 'base64url')).toHaveLength(256)
})
