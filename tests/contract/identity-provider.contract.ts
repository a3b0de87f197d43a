/** What holds with every OpenID provider: who is let in as whom, and what becomes of tokens when users, keys or the provider go. */
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { TokenIssuerConfig } from '../../src/config/config.ts'
import { judge, requireConfig } from '../../src/config/judge.ts'
import { createLogger } from '../../src/observability/logger.ts'
import { eventually } from '../support/eventually.ts'
import { type ClientName, type IdentityProvider, USERS, type UserName } from '../support/identity-provider.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { type Answer, Person } from '../support/person.ts'
import { expectRefusal, expectTokenUncheckable, expectUnauthenticated } from '../support/refusal.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'

/** As promised. */
const KNOWN_MS = 1_000

/** `[token_issuer]`, judged as `ism serve` does. */
export function issuerConfig(section: Record<string, unknown>): TokenIssuerConfig {
  const database = { db_host: 'localhost', db_user: 'ism', db_password: '', db_name: 'ism' }
  const tables = { user_db_config: database, token_issuer: section }
  return requireConfig(judge([{ source: 'test', tables }], { directory: '/' })).tokenIssuer
}

/** `open` makes a provider of the suite's own: its keys are changed, and its users disabled. */
export function describeIdentityProvider(name: string, open: () => Promise<IdentityProvider>): void {
  describe(`identity by ${name}`, () => {
    let provider: IdentityProvider
    /** Between ISM and the provider, not between the provider and those who log in. */
    let proxy: TcpProxy
    let ism: TestIsm
    let throughProxy: Record<string, unknown>
    const logged: string[] = []
    const tokens: string[] = []

    beforeAll(async () => {
      provider = await open()
      const [way = {}] = Object.values(provider.ways)
      const { hostname, port, pathname } = new URL(issuerConfig(way).discoveryUrl)
      proxy = await startTcpProxy({ host: hostname, port: Number(port) })
      const discovery = { discovery_url: `http://127.0.0.1:${proxy.port}${pathname}` }
      throughProxy = { ...way, ...discovery, clock_leeway: 0, key_cooldown: 0 }
      const logger = createLogger('trace', { write: (line) => void logged.push(line) })
      ism = await startIsm({ tokenIssuer: issuerConfig(throughProxy) }, logger)
    })
    afterEach(() => proxy.pass())
    afterAll(async () => {
      await ism?.stop()
      await proxy?.close()
      await provider?.close()
    })

    async function login(user: UserName, client?: ClientName): Promise<string> {
      const token = await provider.login(user, client)
      tokens.push(token)
      return token
    }

    const call = (token: string, url = ism.url, path = '/api/rooms'): Promise<Answer> =>
      new Person(url, '', '', token).get(path)
    const profile = (user: UserName, token: string, url?: string) => call(token, url, `/api/users/${USERS[user].sub}`)

    async function expectAccepted(token: string, url?: string): Promise<void> {
      const { status, body } = await call(token, url)
      expect(status, JSON.stringify(body)).toBe(200)
    }

    /** Another node on the same database, with this more in `[token_issuer]` or `[users]`. */
    async function onNode(
      { issuer = {}, nameClaim }: { issuer?: Record<string, unknown>; nameClaim?: string },
      test: (url: string) => Promise<void>,
    ): Promise<void> {
      const node = await ism.anotherNode({
        tokenIssuer: issuerConfig({ ...throughProxy, ...issuer }),
        ...(nameClaim === undefined ? {} : { users: { nameClaim } }),
      })
      await test(`http://127.0.0.1:${node.address.port}`).finally(() => node.close())
    }

    describe('somebody who logs in', () => {
      it('is made by their first call, under their preferred_username', async () => {
        const { status, body } = await profile('alice', await login('alice'))
        expect({ status, user: body.user }).toMatchObject({
          status: 200,
          user: { id: USERS.alice.sub, displayName: 'alice' },
        })
      })

      it('is the same user at every login', async () => {
        for (let time = 0; time < 2; time++) await expectAccepted(await login('bob'))
        const { rows } = await ism.sql.query(`select id, display_name from app_user where display_name ilike 'bob%'`)
        expect(rows).toEqual([{ id: USERS.bob.sub, display_name: 'bob' }])
      })

      it('has the name that the configured claim says', () =>
        onNode({ nameClaim: 'given_name' }, async (url) => {
          const { body } = await profile('carol', await login('carol'), url)
          expect(body.user.displayName).toBe('Carol')
        }))

      it('whose sub is no UUID is let in where subjects are mapped, as the same user every time', async () => {
        expectUnauthenticated(await call(await login('erin')))
        await onNode({ issuer: { map_subjects: true } }, async (url) => {
          for (let time = 0; time < 2; time++) await expectAccepted(await login('erin'), url)
        })
        const { rows } = await ism.sql.query(`select id from app_user where display_name ilike 'erin%'`)
        expect(rows).toEqual([{ id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-5/) }])
      })
    })

    describe('the configuration', () => {
      it('may name the issuer in each of its ways', async () => {
        const token = await login('alice')
        const configs = Object.values(provider.ways).map((way) => issuerConfig(way))
        for (const tokenIssuer of configs) {
          expect(tokenIssuer).toEqual(configs[0])
          const node = await ism.anotherNode({ tokenIssuer })
          await expectAccepted(token, `http://127.0.0.1:${node.address.port}`).finally(() => node.close())
        }
      })

      it('may name another address of the provider: the keys come from there too', async () => {
        await onNode({}, async (url) => expectAccepted(await login('alice'), url))
        expect(proxy.sent()).toContain(`GET ${provider.keysPath} `)
      })

      it('may want another audience', () =>
        onNode({ issuer: { audience: 'chat' } }, async (url) => {
          await expectAccepted(await login('alice', 'own-audience'), url)
          expectUnauthenticated(await call(await login('alice'), url))
        }))

      it('may want other algorithms', async () => {
        const [es256, eddsa] = await Promise.all([login('alice', 'es256'), login('alice', 'eddsa')])
        expect([es256, eddsa].map((token) => decodeProtectedHeader(token).alg)).toEqual(['ES256', 'EdDSA'])
        expectUnauthenticated(await call(es256))
        expectUnauthenticated(await call(eddsa))
        await onNode({ issuer: { algorithms: ['ES256', 'EdDSA'] } }, async (url) => {
          await expectAccepted(es256, url)
          await expectAccepted(eddsa, url)
          expectUnauthenticated(await call(await login('alice'), url))
        })
      })
    })

    describe('a token', () => {
      it('of another issuer or for another audience is refused and never told why', async () => {
        const answers = [
          await call('no token'),
          await call(await provider.loginElsewhere()),
          await call(await login('alice', 'own-audience')),
        ]
        for (const answer of answers) expectUnauthenticated(answer)
        const bodies = answers.map(({ body }) => JSON.stringify({ ...body, timestamp: undefined }))
        expect(new Set(bodies).size).toBe(1)
      })

      it('is refused once it has expired and no sooner, also where its user was disabled meanwhile', async () => {
        const disabled = await login('dan', 'short-lived')
        await provider.disable('dan')
        await expect(login('dan')).rejects.toThrow('dan is refused')
        await Promise.all([disabled, await login('alice', 'short-lived')].map(untilExpired))
      })

      async function untilExpired(token: string): Promise<void> {
        const expiry = Number(decodeJwt(token).exp) * 1000
        await eventually('the token to be refused', async () => {
          const asked = Date.now()
          const answer = await call(token)
          if (answer.status === 200) {
            expect(asked, 'let in').toBeLessThan(expiry)
            return false
          }
          expectUnauthenticated(answer)
          expect(Date.now(), 'refused').toBeGreaterThanOrEqual(expiry)
          return true
        })
      }

      it('is refused at once where its user is marked as deleted, and so is the next one', async () => {
        const token = await login('bob')
        await expectAccepted(token)
        await ism.sql.query('update app_user set deleted_at = now() where id = $1', [USERS.bob.sub])
        await eventually('the user to be gone', async () => (await call(token)).status !== 200, KNOWN_MS)
        for (const each of [token, await login('bob')])
          expectRefusal(await call(each), 'INSUFFICIENT_PERMISSIONS', 'This user was deleted.')
        await ism.sql.query('update app_user set deleted_at = null where id = $1', [USERS.bob.sub])
        await eventually('the user to be back', async () => (await call(token)).status === 200, KNOWN_MS)
      })
    })

    describe('a new key of the provider', () => {
      it('is found by its first token, while the key before it goes on as long as it is published', async () => {
        const [seen, unseen] = [await login('alice'), await login('alice')]
        await expectAccepted(seen)
        await provider.rotateKey()
        const signedAnew = await login('alice')
        expect(decodeProtectedHeader(signedAnew).kid).not.toBe(decodeProtectedHeader(seen).kid)
        for (const token of [signedAnew, seen, unseen]) await expectAccepted(token)
      })

      it('ends the one before it where that is no longer published, and its removal alone does not', async () => {
        const [seen, unseen] = [await login('alice'), await login('alice')]
        await expectAccepted(seen)
        await provider.rotateKey()
        await provider.removeOldKeys()
        for (const token of [seen, unseen]) await expectAccepted(token)
        await expectAccepted(await login('alice'))
        for (const token of [seen, unseen]) expectUnauthenticated(await call(token))
      })
    })

    describe('a provider that is down', () => {
      it('stops nobody whose key is known, and makes a new key wait until it is back', async () => {
        await expectAccepted(await login('alice'))
        const elsewhere = await login('alice', 'own-audience')
        await proxy.refuse()
        await expectAccepted(await login('bob'))
        await provider.rotateKey()
        const token = await login('alice')
        expectTokenUncheckable(await call(token))
        expectUnauthenticated(await call(elsewhere))
        await proxy.pass()
        await eventually('the new key to be found', async () => (await call(token)).status === 200)
      })

      it('without saying so keeps only those waiting whose key is not known', async () => {
        const [seen, unseen] = [await login('alice'), await login('alice')]
        await expectAccepted(seen)
        await provider.rotateKey()
        await proxy.hang()
        let isAnswered = false
        const waiting = call(await login('alice')).finally(() => {
          isAnswered = true
        })
        await eventually('ISM to ask for the key', async () => proxy.open() > 0)
        for (const token of [seen, unseen]) await expectAccepted(token)
        expect(isAnswered).toBe(false)
        await proxy.refuse()
        expectTokenUncheckable(await waiting)
      })

      it('when ISM starts is waited for with 503, and then needs nothing else', async () => {
        await proxy.refuse()
        await onNode({}, async (url) => {
          const token = await login('alice')
          expectTokenUncheckable(await call(token, url))
          await proxy.pass()
          await eventually('the token to be let in', async () => (await call(token, url)).status === 200)
        })
      })
    })

    it('leaves no token in the log, and shows none to the provider', async () => {
      await expectAccepted(await login('alice'))
      expectUnauthenticated(await call(await login('alice', 'own-audience')))
      const log = logged.join('')
      expect(log).toContain('token refused')
      for (const text of [log, proxy.sent()]) {
        for (const part of tokens.flatMap((token) => token.split('.').slice(1))) expect(text).not.toContain(part)
      }
    })
  })
}
