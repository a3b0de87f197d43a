/** Who is let in, over real HTTP: good tokens, every kind of bad one, keys that change, and an issuer that is down. */
import { createHmac, createPublicKey, randomUUID } from 'node:crypto'
import { exportSPKI, importJWK } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import type { App } from '../../src/app.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { createSigningKey, nowSeconds, type SigningKey, sign } from '../support/issuer-server.ts'
import type { Answer } from '../support/person.ts'
import { expectRefusal, expectTokenUncheckable, expectUnauthenticated } from '../support/refusal.ts'

/** As promised. */
const KNOWN_MS = 1_000

let ism: TestIsm
let stranger: SigningKey
const nodes: App[] = []

beforeAll(async () => {
  ;[ism, stranger] = await Promise.all([
    startIsm({ tokenIssuer: { keyCooldownSeconds: 0 } }),
    createSigningKey('test-key'),
  ])
})
afterEach(() => {
  vi.useRealTimers()
  ism.issuer.keys = [ism.key.jwk]
  ism.issuer.intercept = () => false
})
afterAll(async () => {
  await Promise.all(nodes.map((node) => node.close()))
  await ism.stop()
})

const signed = (claims: Record<string, unknown> = {}, header: { kid?: string | undefined; alg?: string } = {}) =>
  sign(ism.key, ism.issuer.url, { sub: randomUUID(), preferred_username: 'somebody', ...claims }, header)

async function call(headers: Record<string, string>, path = '/api/rooms', method = 'GET'): Promise<Answer> {
  const response = await fetch(`${ism.url}${path}`, { method, headers })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: text.startsWith('{') ? JSON.parse(text) : text }
}
const callWith = (token: string) => call({ authorization: `Bearer ${token}` })

/** Another node's answer to the same call. */
async function callNode({ address }: App, token: string): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${address.port}/api/rooms`, {
    headers: { authorization: `Bearer ${token}` },
  })
  return { status: response.status, headers: response.headers, body: await response.json() }
}

async function anotherNode(...overrides: Parameters<TestIsm['anotherNode']>): Promise<App> {
  const node = await ism.anotherNode(...overrides)
  nodes.push(node)
  return node
}

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

describe('a good token', () => {
  it.each(['Bearer', 'bearer', 'BEARER'])('is let in as %s', async (scheme) => {
    expect((await call({ authorization: `${scheme} ${await signed()}` })).status).toBe(200)
  })

  it('is let in with the audience among others, and within the leeway of its times', async () => {
    // The clock of ISM, which runs in this process, too.
    vi.useFakeTimers({ toFake: ['Date'] })
    const token = await signed({ aud: ['other', 'account'], nbf: nowSeconds() + 3, exp: nowSeconds() - 3 })
    expect((await callWith(token)).status).toBe(200)
  })
})

describe('no token', () => {
  const ID = randomUUID()
  it.each([
    ['GET', '/api/sse'],
    ['GET', '/api/notifications?timestamp=2026-01-01T00:00:00Z'],
    ['GET', '/api/notifications/cursor'],
    ['POST', '/api/send-msg'],
    ['POST', '/api/rooms/create-room'],
    ['GET', '/api/rooms'],
    ['GET', `/api/rooms/search?withUser=${ID}`],
    ['GET', `/api/rooms/${ID}`],
    ['GET', `/api/rooms/${ID}/detailed`],
    ['GET', `/api/rooms/${ID}/users`],
    ['GET', `/api/rooms/${ID}/timeline?timestamp=2026-01-01T00:00:00Z`],
    ['GET', `/api/rooms/${ID}/read-states`],
    ['POST', `/api/rooms/${ID}/mark-read`],
    ['POST', `/api/rooms/${ID}/leave`],
    ['POST', `/api/rooms/${ID}/invite/${ID}`],
    ['POST', `/api/rooms/${ID}/upload-img`],
    ['GET', '/api/users/search?username=a'],
    ['GET', '/api/users/friends'],
    ['GET', '/api/users/friends/requests'],
    ['POST', `/api/users/friends/add/${ID}`],
    ['POST', `/api/users/friends/accept-request/${ID}`],
    ['DELETE', `/api/users/friends/reject-request/${ID}`],
    ['DELETE', `/api/users/friends/${ID}`],
    ['POST', `/api/users/ignore/${ID}`],
    ['DELETE', `/api/users/ignore/${ID}`],
    ['GET', `/api/users/${ID}`],
    ['GET', '/api/rooms/no-uuid'],
  ])('%s %s', async (method, path) => expectUnauthenticated(await call({}, path, method)))

  it.each(['Bearer', 'Bearer ', 'Basic YWxpY2U6c2VjcmV0', 'Token abc'])('as %j', async (authorization) =>
    expectUnauthenticated(await call({ authorization })),
  )

  it('in the header, but a good one in the query', async () =>
    expectUnauthenticated(await call({}, `/api/rooms?access_token=${await signed()}`)))
})

describe('a bad token', () => {
  const hmacKeyed = async () => {
    const publicKey = (await importJWK(ism.key.jwk, 'RS256', { extractable: true })) as Parameters<typeof exportSPKI>[0]
    return exportSPKI(publicKey)
  }
  const withHeader = async (header: unknown, signature: (signed: string) => string) => {
    const [, claims] = (await signed()).split('.')
    const text = `${base64url(header)}.${claims}`
    return `${text}.${signature(text)}`
  }
  const BAD: [string, () => Promise<string>][] = [
    ['no JWT', async () => 'abc'],
    ['signed with another key under the same kid', () => sign(stranger, ism.issuer.url)],
    [
      'whose claims were changed',
      async () => {
        const [header, , signature] = (await signed()).split('.')
        const claims = { iss: ism.issuer.url, aud: 'account', sub: randomUUID(), exp: nowSeconds() + 300 }
        return `${header}.${base64url(claims)}.${signature}`
      },
    ],
    ['without signature', async () => (await signed()).replace(/[^.]+$/, '')],
    ['with alg none', () => withHeader({ alg: 'none', kid: ism.key.kid }, () => '')],
    [
      'HS256, keyed with the public key as PEM',
      async () => {
        const pem = await hmacKeyed()
        return withHeader({ alg: 'HS256', kid: ism.key.kid }, (text) =>
          createHmac('sha256', pem).update(text).digest('base64url'),
        )
      },
    ],
    [
      'HS256, keyed with the public key as DER',
      async () => {
        const der = createPublicKey(await hmacKeyed()).export({ type: 'spki', format: 'der' })
        return withHeader({ alg: 'HS256', kid: ism.key.kid }, (text) =>
          createHmac('sha256', der).update(text).digest('base64url'),
        )
      },
    ],
    ['of another issuer', () => signed({ iss: 'https://elsewhere.example' })],
    ['without issuer', () => signed({ iss: undefined })],
    ['for another audience', () => signed({ aud: 'other' })],
    ['without audience', () => signed({ aud: undefined })],
    ['expired', () => signed({ exp: nowSeconds() - 60 })],
    ['that never expires', () => signed({ exp: undefined })],
    ['not yet valid', () => signed({ nbf: nowSeconds() + 60 })],
    ['of an unknown kid', () => signed({}, { kid: 'unknown' })],
    ['whose sub is no UUID', () => signed({ sub: 'auth0|12345' })],
    ['without sub', () => signed({ sub: undefined })],
    ['over 8 KiB', () => signed({ padding: 'x'.repeat(9_000) })],
    ['over 16 KiB', () => signed({ padding: 'x'.repeat(30_000) })],
  ]
  const bodies = new Set<string>()

  it.each(BAD)('%s', async (_, token) => {
    const answer = await callWith(await token())
    expectUnauthenticated(answer)
    bodies.add(JSON.stringify({ ...answer.body, timestamp: undefined }))
  })

  it('is never told what is wrong with it', () => expect(bodies.size).toBe(1))

  it('does not open a stream', async () =>
    expectUnauthenticated(await call({ authorization: 'Bearer abc' }, '/api/sse')))
})

describe('a token that was good', () => {
  it('is refused once it has expired', async () => {
    const exp = nowSeconds() + 60
    const token = await signed({ exp })
    const expires = (exp + ism.config.tokenIssuer.leewaySeconds) * 1_000
    // The clock of ISM, which runs in this process, too.
    vi.useFakeTimers({ toFake: ['Date'], now: expires - 1 })
    expect((await callWith(token)).status).toBe(200)
    vi.setSystemTime(expires)
    expectUnauthenticated(await callWith(token))
  })

  it('is refused within a second of its user being deleted, and let in when they are back', async () => {
    const [alice] = await ism.people('alice')
    const deleted = (value: string) =>
      ism.sql.query(`update app_user set deleted_at = ${value} where id = $1`, [alice.id])
    await deleted('now()')
    await vi.waitFor(
      async () => expectRefusal(await alice.get('/api/rooms'), 'INSUFFICIENT_PERMISSIONS', 'This user was deleted.'),
      { timeout: KNOWN_MS, interval: 10 },
    )
    await deleted('null')
    await vi.waitFor(async () => expect((await alice.get('/api/rooms')).status).toBe(200), { timeout: KNOWN_MS })
  })
})

describe("the issuer's keys", () => {
  it('may be changed while ISM runs: the new one is let in, the old one no more', async () => {
    const before = await signed()
    expect((await callWith(before)).status).toBe(200)
    const next = await createSigningKey('next-key')
    ism.issuer.keys = [next.jwk]
    const after = await sign(next, ism.issuer.url, { sub: randomUUID() })
    expect((await callWith(after)).status).toBe(200)
    expectUnauthenticated(await callWith(before))
    expectUnauthenticated(await callWith(await signed()))
  })

  it('may overlap', async () => {
    const next = await createSigningKey('overlapping-key')
    ism.issuer.keys = [ism.key.jwk, next.jwk]
    expect((await callWith(await sign(next, ism.issuer.url, { sub: randomUUID() }))).status).toBe(200)
    expect((await callWith(await signed())).status).toBe(200)
  })
})

describe('an issuer that is down', () => {
  const goDown = () => {
    ism.issuer.intercept = (request) => {
      request.socket.destroy()
      return true
    }
  }
  it('stops nobody whose key is known, and answers 503 to others until it is back', async () => {
    expect((await callWith(await signed())).status).toBe(200)
    const next = await createSigningKey('key-of-later')
    const unknown = await sign(next, ism.issuer.url, { sub: randomUUID() })
    goDown()
    expect((await callWith(await signed())).status).toBe(200)
    expectTokenUncheckable(await callWith(unknown))
    expectUnauthenticated(await callWith(await signed({ aud: 'other' })))
    ism.issuer.keys = [ism.key.jwk, next.jwk]
    ism.issuer.intercept = () => false
    await vi.waitFor(async () => expect((await callWith(unknown)).status).toBe(200), { timeout: 5_000, interval: 50 })
  })

  it('does not keep ISM from starting', async () => {
    goDown()
    const node = await anotherNode()
    const token = await signed()
    expectTokenUncheckable(await callNode(node, token))
    ism.issuer.intercept = () => false
    await vi.waitFor(async () => expect((await callNode(node, token)).status).toBe(200), {
      timeout: 5_000,
      interval: 50,
    })
  })
})

it('a sub that is no UUID is somebody, the same one every time, where subjects are mapped', async () => {
  const node = await anotherNode({ tokenIssuer: { mapSubjects: true } })
  const sub = `auth0|${randomUUID()}`
  for (let time = 0; time < 2; time++) {
    const token = await signed({ sub, preferred_username: 'mapped subject', iat: nowSeconds() + time })
    expect((await callNode(node, token)).status).toBe(200)
    expectUnauthenticated(await callWith(token))
  }
  const { rows } = await ism.sql.query("select id from app_user where display_name like 'mapped subject%'")
  expect(rows).toEqual([{ id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-5/) }])
})
