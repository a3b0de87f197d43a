/** A Keycloak realm of the test's own, made through the admin REST API of a server that others use too. */
import { randomUUID } from 'node:crypto'
import {
  CLIENTS,
  type ClientName,
  type Credentials,
  type IdentityProvider,
  PASSWORD,
  requestTokens,
  type Tokens,
  USERS,
} from './identity-provider.ts'

const PREFIX = 'ism-test-'
const KEY_PROVIDER = 'org.keycloak.keys.KeyProvider'

/** @param realmUrl `<root>/realms/<realm>` */
export const passwordGrant = (realmUrl: string, credentials: Credentials): Promise<Tokens> =>
  requestTokens(`${realmUrl}/protocol/openid-connect/token`, credentials)

/** @param loginElsewhere somebody's log-in to another realm of the same server */
export async function createKeycloakRealm(
  url: string,
  loginElsewhere: () => Promise<string>,
): Promise<IdentityProvider> {
  const name = `${PREFIX}${randomUUID()}`
  const issuer = `${url}/realms/${name}`
  const admin = (method: string, path: string, body?: unknown) => callAdmin(url, method, path, body)
  // A run that was killed left its own, and the ids of people are unique in a server.
  for (const { realm } of await admin('GET', '/realms?briefRepresentation=true'))
    if (realm.startsWith(PREFIX)) await admin('DELETE', `/realms/${realm}`)
  await admin('POST', '/realms', realmOf(name))
  return {
    ways: {
      'iss_host and iss_realm': { iss_host: url, iss_realm: name },
      'iss_host with a final slash': { iss_host: `${url}/`, iss_realm: name },
      issuer: { issuer },
    },
    keysPath: `/realms/${name}/protocol/openid-connect/certs`,
    login: async (user, client = 'app') =>
      (await passwordGrant(issuer, { client, user, password: PASSWORD })).access_token,
    loginElsewhere,
    async rotateKey() {
      const before = await rsaKeys()
      await admin('POST', `/realms/${name}/components`, { ...keyProvider('rsa'), providerType: KEY_PROVIDER })
      for (const key of before) {
        const passive = { ...key, config: { ...key.config, active: ['false'] } }
        await admin('PUT', `/realms/${name}/components/${key.id}`, passive)
      }
    },
    async removeOldKeys() {
      for (const { id, config } of await rsaKeys())
        if (config['active']?.[0] === 'false') await admin('DELETE', `/realms/${name}/components/${id}`)
    },
    disable: (user) => admin('PUT', `/realms/${name}/users/${USERS[user].sub}`, { enabled: false }),
    close: () => admin('DELETE', `/realms/${name}`),
  }

  async function rsaKeys(): Promise<Component[]> {
    const components: Component[] = await admin('GET', `/realms/${name}/components?type=${KEY_PROVIDER}`)
    return components.filter(({ providerId }) => providerId === 'rsa-generated')
  }
}

type Component = { id: string; providerId: string; config: Record<string, string[]> }

function realmOf(realm: string) {
  return {
    realm,
    enabled: true,
    clients: Object.keys(CLIENTS).map((name) => clientOf(name as ClientName)),
    users: Object.entries(USERS).map(([username, { sub, givenName }]) => ({
      id: sub,
      username,
      enabled: true,
      email: `${username}@example.com`,
      firstName: givenName,
      lastName: 'Example',
      credentials: [{ type: 'password', value: PASSWORD, temporary: false }],
      // What a user who is not imported gets unasked: by these, Keycloak itself makes the audience `account`.
      realmRoles: [`default-roles-${realm}`],
    })),
    components: {
      [KEY_PROVIDER]: [
        keyProvider('rsa'),
        keyProvider('ecdsa', { ecdsaEllipticCurveKey: 'P-256' }),
        keyProvider('eddsa', { eddsaEllipticCurveKey: 'Ed25519' }),
        keyProvider('hmac', { algorithm: 'HS512' }),
      ],
    },
  }
}

function clientOf(clientId: ClientName) {
  const { lifespanSeconds, algorithm, audience } = CLIENTS[clientId]
  return {
    clientId,
    publicClient: true,
    directAccessGrantsEnabled: true,
    attributes: {
      ...(lifespanSeconds === undefined ? {} : { 'access.token.lifespan': String(lifespanSeconds) }),
      ...(algorithm === undefined ? {} : { 'access.token.signed.response.alg': algorithm }),
    },
    // Without the full scope no roles of the client `account` come along, and so not its audience.
    fullScopeAllowed: audience === undefined,
    protocolMappers: audience === undefined ? [] : [audienceMapper(audience)],
  }
}

function audienceMapper(audience: string) {
  return {
    name: `audience ${audience}`,
    protocol: 'openid-connect',
    protocolMapper: 'oidc-audience-mapper',
    config: { 'included.custom.audience': audience, 'access.token.claim': 'true', 'id.token.claim': 'false' },
  }
}

function keyProvider(kind: string, config: Record<string, string> = {}) {
  const entries = Object.entries(config).map(([key, value]) => [key, [value]])
  return { name: `${kind} ${randomUUID()}`, providerId: `${kind}-generated`, config: Object.fromEntries(entries) }
}

// biome-ignore lint/suspicious/noExplicitAny: what Keycloak answers is for the caller to know
async function callAdmin(url: string, method: string, path: string, body: unknown): Promise<any> {
  const { access_token: token } = await passwordGrant(`${url}/realms/master`, {
    client: 'admin-cli',
    user: 'admin',
    password: 'admin',
  })
  const response = await fetch(`${url}/admin${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`Keycloak answered ${response.status} to ${method} ${path}: ${text}`)
  return text === '' ? undefined : JSON.parse(text)
}
