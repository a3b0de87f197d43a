/** People who log in to real OpenID providers: Keycloak, and the server library oidc-provider. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { describeIdentityProvider, issuerConfig } from '../contract/identity-provider.contract.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { createKeycloakRealm, passwordGrant } from '../support/keycloak.ts'
import { startOidcProvider } from '../support/oidc-provider.ts'
import { Person } from '../support/person.ts'
import { expectUnauthenticated } from '../support/refusal.ts'
import { KEYCLOAK_VARIABLES } from '../support/service-variables.ts'
import { describeWith } from '../support/services.ts'

describeIdentityProvider('oidc-provider', startOidcProvider)

describeWith(KEYCLOAK_VARIABLES, 'Keycloak', (env) => {
  /** To the realm of the environment, which others use too: nothing is changed there. */
  const logIn = (user: string) =>
    passwordGrant(`${env.ISM_TEST_KEYCLOAK_URL}/realms/${env.ISM_TEST_KEYCLOAK_REALM}`, {
      client: env.ISM_TEST_KEYCLOAK_CLIENT,
      user,
      password: env.ISM_TEST_KEYCLOAK_PASSWORD,
    })

  describeIdentityProvider('Keycloak', () =>
    createKeycloakRealm(env.ISM_TEST_KEYCLOAK_URL, async () => (await logIn('alice')).access_token),
  )

  describe('the realm of the environment', () => {
    let ism: TestIsm

    beforeAll(async () => {
      const issuer = {
        iss_host: env.ISM_TEST_KEYCLOAK_URL,
        iss_realm: env.ISM_TEST_KEYCLOAK_REALM,
        audience: env.ISM_TEST_KEYCLOAK_AUDIENCE,
      }
      ism = await startIsm({ tokenIssuer: issuerConfig(issuer) })
    })
    afterAll(() => ism?.stop())

    it('lets alice, bob and carol chat', async () => {
      const ids = {
        alice: env.ISM_TEST_KEYCLOAK_ALICE,
        bob: env.ISM_TEST_KEYCLOAK_BOB,
        carol: env.ISM_TEST_KEYCLOAK_CAROL,
      }
      const enter = async ([name, id]: [string, string]) => {
        const person = new Person(ism.url, id, name, (await logIn(name)).access_token)
        return { person, stream: await person.stream() }
      }
      const [alice, ...others] = await Promise.all(Object.entries(ids).map(enter))
      if (!alice) throw new Error('alice is missing')
      const room = await alice.person.createRoom(
        others.map(({ person }) => person),
        'Tea',
      )
      const { status, body: sent } = await alice.person.send(room, 'Hello both')
      expect(status).toBe(200)
      for (const { person, stream } of others) {
        const heard = await stream.next(({ type }) => type === 'ChatMessage', `${person.name}'s message`)
        expect(heard['message']).toMatchObject({ messageId: sent.messageId, senderId: ids.alice })
        expect(heard['roomPreviewText']).toMatchObject({ sender_username: 'alice', text: 'Hello both' })
      }
      for (const { person } of [alice, ...others]) person.closeStreams()
    })

    it('gives ID tokens and refresh tokens beside access tokens, and neither is let in', async () => {
      const { access_token, id_token, refresh_token } = await logIn('alice')
      const call = (token: string) => new Person(ism.url, '', '', token).get('/api/rooms')
      expect((await call(access_token)).status).toBe(200)
      expectUnauthenticated(await call(id_token))
      expectUnauthenticated(await call(refresh_token))
    })
  })
})
