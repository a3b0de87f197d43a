/** The server library oidc-provider, in the test's process: its JWT access tokens, behind a password grant of our own. */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWK } from 'jose'
import type { TokenContext } from 'oidc-provider'
import { vi } from 'vitest'
import { CLIENTS, type ClientName, type IdentityProvider, PASSWORD, requestTokens, USERS } from './identity-provider.ts'

const ACCOUNTS = Object.entries(USERS).map(([name, user]) => ({ name, ...user }))

export async function startOidcProvider(): Promise<IdentityProvider> {
  const disabled = new Set<string>()
  const otherKeys = await Promise.all([signingKey('ES256'), signingKey('EdDSA')])
  let rsaKeys = [await signingKey('RS256')]

  // The library knows no rotation: a changed key set takes a restart, here another instance on the same address.
  let answer: RequestListener = () => {}
  const server = createServer((req, res) => answer(req, res))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // The final slash is part of this issuer's name, as of Auth0's.
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const start = async () => {
    answer = (await createProvider(issuer, [...rsaKeys, ...otherKeys], disabled)).callback()
  }
  await start()
  return {
    ways: { issuer: { issuer } },
    keysPath: '/jwks',
    login: async (user, client = 'app') =>
      (await requestTokens(`${issuer}token`, { client, user, password: PASSWORD })).access_token,
    async loginElsewhere() {
      const other = await startOidcProvider()
      return other.login('alice').finally(() => other.close())
    },
    async rotateKey() {
      rsaKeys = [await signingKey('RS256'), ...rsaKeys]
      await start()
    },
    async removeOldKeys() {
      rsaKeys = rsaKeys.slice(0, 1)
      await start()
    },
    disable: async (user) => void disabled.add(user),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function createProvider(issuer: string, keys: JWK[], disabled: ReadonlySet<string>) {
  // It warns of Node 20 and of keeping what it stores in memory: both are meant here.
  const warnings = vi.spyOn(console, 'warn').mockImplementation(() => {})
  const { Provider, errors } = await import('oidc-provider')
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: Object.keys(CLIENTS).map((name) => ({
      client_id: name,
      token_endpoint_auth_method: 'none',
      grant_types: ['password'],
      response_types: [],
      redirect_uris: [],
    })),
    extraTokenClaims: (_: unknown, { accountId }: { accountId: string }) => {
      const account = ACCOUNTS.find(({ sub }) => sub === accountId)
      return { preferred_username: account?.name, given_name: account?.givenName }
    },
    features: { devInteractions: { enabled: false } },
  })
  warnings.mockRestore()

  const grant = async (ctx: TokenContext) => {
    const { client, params } = ctx.oidc
    const account = ACCOUNTS.find(({ name }) => name === params['username'])
    if (!account || disabled.has(account.name) || params['password'] !== PASSWORD)
      throw new errors.InvalidGrant('Invalid user credentials')
    const { lifespanSeconds = 300, audience = 'account', algorithm = 'RS256' } = CLIENTS[client.clientId as ClientName]
    const token = new provider.AccessToken({
      client,
      accountId: account.sub,
      expiresIn: lifespanSeconds,
      gty: 'password',
      resourceServer: new provider.ResourceServer(`urn:${audience}`, {
        audience,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: algorithm } },
      }),
    })
    ctx.body = { access_token: await token.save(), expires_in: token.expiration, token_type: token.tokenType }
  }
  provider.registerGrantType('password', grant, ['username', 'password'])
  return provider
}

async function signingKey(algorithm: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair(algorithm, { extractable: true })
  return { ...(await exportJWK(privateKey)), alg: algorithm, use: 'sig' }
}
