/**
 * Fills a PostgreSQL database, a Cassandra keyspace and an S3 bucket as ISM 0.7.9 leaves them, and prints the
 * configuration that 0.7.9 would have had, so that the move can be tried:
 *
 *     npx tsx tests/support/fixture-0.7.9/main.ts ism_0_7_9 > production.config.toml
 *     npx tsx tests/support/fixture-0.7.9/main.ts --drop ism_0_7_9
 *
 * The servers are those of the ISM_TEST_… variables; tokens come from the Keycloak of ISM_TEST_KEYCLOAK_URL and _REALM.
 */
import { createCommunity } from './community.ts'
import { dropStores, fillStores, legacyConfiguration, legacyStores, type Servers, VARIABLES } from './stores.ts'

const names = process.argv.slice(2).filter((argument) => argument !== '--drop')
const [name = ''] = names
const missing = VARIABLES.filter((variable) => !process.env[variable])

if (names.length !== 1 || !/^[a-z][a-z0-9_]{2,40}$/.test(name)) fail('one name is wanted: letters, digits, underscores')
else if (missing.length > 0) fail(`set ${missing.join(', ')}`)
else {
  const servers = process.env as Servers
  const stores = legacyStores(servers, name)
  if (process.argv.includes('--drop')) {
    await dropStores(servers, stores)
  } else {
    const community = createCommunity()
    await fillStores(servers, stores, community)
    const { ISM_TEST_KEYCLOAK_URL: host = 'http://localhost:8180', ISM_TEST_KEYCLOAK_REALM: realm = 'ism' } =
      process.env
    process.stdout.write(legacyConfiguration(stores, { host, realm }))
    const count = community.rooms.reduce((sum, room) => sum + room.messages.length, 0)
    process.stderr.write(
      `${community.people.length} people, ${community.rooms.length} rooms and ${count} messages are in ${name}\n`,
    )
  }
}

function fail(message: string): void {
  process.stderr.write(`${message}\n`)
  process.exitCode = 2
}
