/** A token that was verified before, against jose verifying it each time. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, importJWK, type JWK, jwtVerify, SignJWT } from 'jose'
import { createTokenVerifier } from '../../src/auth/token-verifier.ts'
import type { TokenIssuerConfig } from '../../src/config/config.ts'
import { createLogger } from '../../src/observability/logger.ts'
import { defineBench } from '../suite/bench.ts'
import { ratios } from '../suite/statistics.ts'

const ALGORITHM = 'RS256'
const AUDIENCE = 'account'
const ISSUER = 'http://issuer.localhost'

/** µs each. */
type Cost = { cpu: number; wall: number }

export const token = defineBench({
  name: 'token',
  about: 'a verified token seen again, against jose verifying it (RS256, 2,048 bits)',
  settings: {
    tokens: { full: 1_000, small: 10, doc: 'tokens, seen in turn' },
    again: { full: 300_000, small: 10_000, doc: 'tokens seen again, a round' },
    verifications: { full: 5_000, small: 200, doc: 'by jose, a round' },
    rounds: { full: 5, small: 2, doc: 'turns of the sides' },
  },
  targets: {
    again: {
      what: 'a verified token seen again: the speed',
      against: 'jose verifying it, in CPU',
      bound: 'at least',
      value: 30,
      unit: '×',
    },
  },
  async run({ settings }) {
    const { publicKey, privateKey } = await generateKeyPair(ALGORITHM, { extractable: true })
    const jwk = { ...(await exportJWK(publicKey)), kid: 'bench', alg: ALGORITHM, use: 'sig' }
    const signing = await importJWK(await exportJWK(privateKey), ALGORITHM)
    const tokens = await Promise.all(Array.from({ length: settings.tokens }, () => sign(signing)))
    const server = await serveKeys(jwk)
    const verifier = createTokenVerifier(configuration(server), { logger: createLogger('silent') })
    try {
      const key = await importJWK(jwk, ALGORITHM)
      const options = { issuer: ISSUER, audience: AUDIENCE, algorithms: [ALGORITHM], requiredClaims: ['exp', 'sub'] }
      const again = (n: number) => verifier.verify(tokens[n % tokens.length] ?? '')
      const verify = (n: number) => jwtVerify(tokens[n % tokens.length] ?? '', key, options)
      await cost(settings.tokens, again)
      await cost(settings.again, again)
      await cost(settings.verifications, verify)
      const seen: Cost[] = []
      const verified: Cost[] = []
      for (let round = 0; round < settings.rounds; round++) {
        seen.push(await cost(settings.again, again))
        verified.push(await cost(settings.verifications, verify))
      }
      return report(seen, verified)
    } finally {
      verifier.close()
      server.close()
    }
  },
})

function sign(key: Parameters<SignJWT['sign']>[0]): Promise<string> {
  return new SignJWT({ preferred_username: 'alice', name: 'Alice', jti: crypto.randomUUID() })
    .setProtectedHeader({ alg: ALGORITHM, typ: 'JWT', kid: 'bench' })
    .setIssuer(ISSUER)
    .setSubject(crypto.randomUUID())
    .setAudience(AUDIENCE)
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(key)
}

/** An issuer's documents. */
async function serveKeys(jwk: JWK): Promise<Server> {
  const server = createServer((request, response) => {
    const discovery = { issuer: ISSUER, jwks_uri: `${originOf(server)}/jwks` }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(request.url === '/jwks' ? { keys: [jwk] } : discovery))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}

const originOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`

function configuration(server: Server): TokenIssuerConfig {
  return {
    issuer: ISSUER,
    discoveryUrl: `${originOf(server)}/.well-known/openid-configuration`,
    audience: AUDIENCE,
    algorithms: [ALGORITHM],
    leewaySeconds: 5,
    mapSubjects: false,
    keyCooldownSeconds: 5,
    allowQueryToken: false,
  }
}

/** One after the other; CPU is the whole process's, the threads that verify included. */
async function cost(count: number, work: (n: number) => Promise<unknown>): Promise<Cost> {
  const before = process.cpuUsage()
  const started = performance.now()
  for (let n = 0; n < count; n++) await work(n)
  const wall = (performance.now() - started) * 1_000
  const { user, system } = process.cpuUsage(before)
  return { cpu: (user + system) / count, wall: wall / count }
}

function report(seen: Cost[], verified: Cost[]) {
  const row = (label: string, costs: Cost[]) => ({
    labels: [label],
    values: [costs.map(({ cpu }) => cpu), costs.map(({ wall }) => wall)],
  })
  const cpu = (costs: Cost[]) => costs.map((each) => each.cpu)
  return {
    tables: [
      {
        title: 'A token',
        labels: [''],
        columns: [
          { head: 'CPU µs', digits: 2 },
          { head: 'time µs', digits: 2 },
        ],
        rows: [row('seen again', seen), row('jose', verified)],
      },
    ],
    reached: { again: ratios(cpu(verified), cpu(seen)) },
    charts: [
      {
        name: 'token',
        title: 'CPU for a token',
        unit: 'µs',
        bars: [
          { label: 'seen again', side: 'ISM', series: cpu(seen) },
          { label: 'verified', side: 'jose', series: cpu(verified) },
        ],
      },
    ],
  }
}
