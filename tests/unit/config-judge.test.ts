/** What judging makes of values: defaults, accepted spellings, and every problem at once. */
import { describe, expect, test } from 'vitest'
import type { Config } from '../../src/config/config.ts'
import { type Judged, judge } from '../../src/config/judge.ts'
import type { Layer } from '../../src/config/layers.ts'
import { parseToml } from '../../src/config/toml.ts'

const SOURCE = 'test.toml'
const POSTGRES = { db_host: 'localhost', db_user: 'ism', db_password: 'secret', db_name: 'ism' }
const REALM = { iss_host: 'http://localhost:8180/', iss_realm: 'my-realm' }
const MINIMUM = { user_db_config: POSTGRES, token_issuer: REALM }

const judged = (tables: Layer['tables']): Judged => judge([{ source: SOURCE, tables }], { directory: '/srv' })

function accepted(tables: Layer['tables']): Config {
  const { config, problems } = judged({ ...MINIMUM, ...tables })
  expect(problems).toEqual([])
  return config as Config
}

const problemsOf = (tables: Layer['tables']) => {
  const { config, problems } = judged({ ...MINIMUM, ...tables })
  expect(config).toBeUndefined()
  return problems
}

const issuer = (keys: object) => ({ token_issuer: { ...REALM, ...keys } })
const postgres = (keys: object) => ({ user_db_config: { ...POSTGRES, ...keys } })
const webhook = (keys: object) => ({ webhook_config: keys })
const kafka = (keys: object) => ({
  kafka_config: { bootstrap_host: 'localhost', bootstrap_port: 9092, topic: 'notices', ...keys },
})

test('what is left out has its documented default', () => {
  expect(accepted({})).toEqual({
    server: { host: '127.0.0.1', port: 5403, logLevel: 'info', corsOrigins: [] },
    postgres: {
      host: 'localhost',
      port: 5432,
      user: 'ism',
      password: 'secret',
      database: 'ism',
      ssl: 'off',
      sslCa: undefined,
      poolSize: 10,
      transactionPooler: false,
    },
    redis: { url: undefined },
    messages: { provider: 'postgres' },
    objects: { provider: 'directory', directory: '/srv/ism-objects', bucket: 'ism', publicUrl: undefined },
    tokenIssuer: {
      issuer: 'http://localhost:8180/realms/my-realm',
      discoveryUrl: 'http://localhost:8180/realms/my-realm/.well-known/openid-configuration',
      audience: 'account',
      algorithms: ['RS256'],
      leewaySeconds: 5,
      mapSubjects: false,
      keyCooldownSeconds: 5,
      allowQueryToken: false,
    },
    users: { provision: 'auto', nameClaim: 'preferred_username' },
    limits: {
      sendsPerSecond: 20,
      sendBurst: 60,
      searchesPerMinute: 60,
      roomsPerHour: 30,
      uploadsPerHour: 20,
      ticketsPerMinute: 60,
    },
    metrics: { host: '127.0.0.1', port: undefined, token: undefined },
    log: { retentionHours: 168, partitionSpan: 2_000_000, memoryBytes: 64 * 1024 * 1024 },
    streams: { keepAliveSeconds: 5, maxBufferedBytes: 1024 * 1024, maxPerUser: 20, maxPerNode: 50_000 },
    webhook: { secrets: [], serviceRole: undefined, serviceRoleClaim: undefined },
    webhooks: [],
    push: { http: undefined, maxAgeMs: 3_600_000 },
    kafka: undefined,
  } satisfies Config)
})

/** The sample of ISM 0.7.9's README. */
const SAMPLE = parseToml(`
  ism_url = "127.0.0.1"
  ism_port= 5403
  log_level = "info"
  cors_origin = "http://localhost:4200"
  use_kafka = false
  [user_db_config]
  db_host = "localhost"
  db_port = "32768"
  db_user = "postgres"
  db_password = "postgres"
  db_name = "postgres"
  [token_issuer]
  iss_host = "http://localhost:8180/"
  iss_realm = "my-realm"
  [message_db_config]
  db_url = "localhost:9042"
  db_user = "cassandra"
  db_password = "cassandra"
  db_keyspace = "messaging"
  with_db_init = true
  [object_db_config]
  db_user = "minioadmin"
  db_url = "http://localhost:9000"
  db_password = "minioadmin"
  bucket_name = "meventure"
  [kafka_config]
  bootstrap_host = "localhost"
  bootstrap_port = 19192
  topic = "user-notification-events"
  client_id = "ism-1"
  partition = [0]
  consumer_group = "ism"
`)

test("the original's sample is understood", () => {
  const { config, problems, warnings } = judged(SAMPLE)
  expect([problems, warnings]).toEqual([[], []])
  expect(config?.postgres.port).toBe(32_768)
  expect(config?.server.corsOrigins).toEqual(['http://localhost:4200'])
  expect(config?.messages).toEqual({
    provider: 'cassandra',
    contactPoints: ['localhost:9042'],
    localDatacenter: undefined,
    keyspace: 'messaging',
    credentials: { user: 'cassandra', password: 'cassandra' },
    consistency: 'LOCAL_QUORUM',
    tls: { mode: 'off', ca: undefined, cert: undefined, key: undefined },
    replication: undefined,
    initKeyspace: true,
    settleMilliseconds: 2_000,
  })
  expect(config?.objects).toEqual({
    provider: 's3',
    endpoint: 'http://localhost:9000',
    region: 'us-east-1',
    accessKey: 'minioadmin',
    secretKey: 'minioadmin',
    bucket: 'meventure',
    pathStyle: true,
    createBucket: false,
    publicUrl: undefined,
  })
})

describe('[kafka_config]', () => {
  test('is used where use_kafka says so, all partitions of the topic', () => {
    const section = { bootstrap_host: '::1', bootstrap_port: 9092, topic: 'notices', brokers: 'b, [::1]:9092' }
    expect(accepted({ use_kafka: true, kafka_config: section }).kafka).toEqual({
      brokers: ['[::1]:9092', 'b:9092'],
      clientId: 'ism',
      tls: { mode: 'off', ca: undefined, cert: undefined, key: undefined },
      sasl: undefined,
      topic: 'notices',
      partitions: [],
      consumerGroup: 'ism',
      pushTopic: undefined,
    })
    expect(accepted({ kafka_config: section }).kafka).toBeUndefined()
  })

  test('has a topic for pushes, which is of no use while Kafka is not used', () => {
    expect(accepted({ use_kafka: true, ...kafka({ push_topic: 'pushes' }) }).kafka?.pushTopic).toBe('pushes')
    expect(judged({ ...MINIMUM, ...kafka({ push_topic: 'pushes' }) }).warnings).toMatchObject([
      { key: 'kafka_config.push_topic', problem: 'is not used' },
    ])
  })

  test('logs in and encrypts where it says so', () => {
    const { kafka: config } = accepted({
      use_kafka: true,
      ...kafka({
        tls: 'verify',
        sasl_mechanism: 'SCRAM-SHA-512',
        sasl_user: 'u',
        sasl_password: 'p',
        partition: [0, 2],
      }),
    })
    expect(config).toMatchObject({
      tls: { mode: 'verify' },
      sasl: { mechanism: 'scram-sha-512', user: 'u', password: 'p' },
      partitions: [0, 2],
    })
  })
})

test('pushes go where they are sent, and what is about them is of no use without that', () => {
  const http = { url: 'https://push.example/pushes', accessToken: 'abc' }
  const keys = { push_notification_url: http.url, push_notification_access_token: 'abc', push_max_age_seconds: 60 }
  expect(accepted(keys).push).toEqual({ http, maxAgeMs: 60_000 })
  const { push_notification_url: _, ...without } = keys
  expect(judged({ ...MINIMUM, ...without }).warnings).toMatchObject([
    { key: 'push_notification_access_token', problem: 'is not used' },
    { key: 'push_max_age_seconds', problem: 'is not used' },
  ])
})

test('a claim for roles is of no use without a role', () => {
  const { warnings } = judged({ ...MINIMUM, ...webhook({ service_role_claim: 'a.b' }) })
  expect(warnings).toMatchObject([{ key: 'webhook_config.service_role_claim', problem: 'is not used' }])
})

describe('[message_db_config]', () => {
  const section = { db_url: 'localhost', db_keyspace: 'messaging' }
  const messages = (keys: object) => {
    const { messages } = accepted({ message_db_config: { ...section, ...keys } })
    if (messages.provider !== 'cassandra') throw new Error('not in Cassandra')
    return messages
  }

  test.each<[object, object]>([
    [
      { db_url: 'a.example, 10.0.0.1:9999,[::1],[fe80::1]:1' },
      { contactPoints: ['a.example:9042', '10.0.0.1:9999', '[::1]:9042', '[fe80::1]:1'] },
    ],
    [{ db_url: ['a', 'b:9043', 'a:9042'] }, { contactPoints: ['a:9042', 'b:9043'] }],
    [{ db_keyspace: 'Messaging_2' }, { keyspace: 'Messaging_2' }],
    [{ db_user: '', db_password: '' }, { credentials: undefined }],
    [{ consistency: 'local_one' }, { consistency: 'LOCAL_ONE' }],
    [{ replication: 3 }, { replication: 3 }],
    [{ replication: '2' }, { replication: 2 }],
    [{ replication: 'dc1:3, dc-2:1' }, { replication: { dc1: 3, 'dc-2': 1 } }],
    [{ tls: true }, { tls: { mode: 'verify', ca: undefined, cert: undefined, key: undefined } }],
  ])('%j', (keys, expected) => {
    expect(messages(keys)).toMatchObject(expected)
  })

  test.each<[object, string]>([
    [{ db_url: '' }, 'db_url'],
    [{ db_url: 'http://localhost:9042' }, 'db_url'],
    [{ db_url: 'me@localhost' }, 'db_url'],
    [{ db_url: '::1' }, 'db_url'],
    [{ db_url: 'localhost:0' }, 'db_url'],
    [{ db_url: 'localhost:65536' }, 'db_url'],
    [{ db_keyspace: 'my-keyspace' }, 'db_keyspace'],
    [{ db_keyspace: '1st' }, 'db_keyspace'],
    [{ db_keyspace: 'a; drop keyspace b' }, 'db_keyspace'],
    [{ db_keyspace: 'k'.repeat(49) }, 'db_keyspace'],
    [{ db_user: 'cassandra' }, 'db_password'],
    [{ db_password: 'secret' }, 'db_user'],
    [{ replication: 0 }, 'replication'],
    [{ replication: 'dc1:3, dc1:2' }, 'replication'],
    [{ replication: "dc1': 1}" }, 'replication'],
    [{ consistency: 'EACH_QUORUM' }, 'consistency'],
    [{ tls: 'verify', tls_ca: '/absent.pem' }, 'tls_ca'],
    [{ tls: 'verify', tls_cert: '/absent.pem' }, 'tls_key'],
  ])('%j is refused', (keys, key) => {
    const problems = problemsOf({ message_db_config: { ...section, ...keys } })
    expect(problems.map((problem) => problem.key)).toContain(`message_db_config.${key}`)
  })
})

describe('the store of pictures', () => {
  const s3 = { db_user: 'u', db_url: 'http://localhost:9000', db_password: 'p', bucket_name: 'b' }

  test.each<[Layer['tables'], string | undefined]>([
    [{ object_db_config: s3 }, undefined],
    [{ object_db_config: { ...s3, public_url: 'https://cdn.example/' } }, 'https://cdn.example'],
    [{ object_db_config: s3, objects: { public_url: 'https://cdn.example' } }, 'https://cdn.example'],
  ])('%j has its public URL from either section', (tables, publicUrl) => {
    expect(accepted(tables).objects).toMatchObject({ provider: 's3', publicUrl })
  })

  test.each<[object, string]>([
    [{ directory: '/srv/pictures' }, 'objects.directory'],
    [{ bucket_name: 'other' }, 'objects.bucket_name'],
    [{ public_url: 'https://other.example' }, 'objects.public_url'],
  ])('%j beside S3 is refused', (objects, key) => {
    const tables = { object_db_config: { ...s3, public_url: 'https://cdn.example' }, objects }
    expect(problemsOf(tables).map((problem) => problem.key)).toEqual([key])
  })
})

describe('accepted spellings', () => {
  test.each<[Layer['tables'], (config: Config) => unknown, unknown]>([
    [{ ism_port: '8080' }, (config) => config.server.port, 8080],
    [{ ism_port: 0 }, (config) => config.server.port, 0],
    [{ ism_url: '[::1]' }, (config) => config.server.host, '::1'],
    [{ log_level: 'INFO' }, (config) => config.server.logLevel, 'info'],
    [{ cors_origin: '' }, (config) => config.server.corsOrigins, []],
    [
      { cors_origin: 'https://a.example, https://b.example' },
      (c) => c.server.corsOrigins,
      ['https://a.example', 'https://b.example'],
    ],
    [{ cors_origin: ['https://a.example', 'https://a.example'] }, (c) => c.server.corsOrigins, ['https://a.example']],
    [{ cors_origin: 'capacitor://localhost' }, (config) => config.server.corsOrigins, ['capacitor://localhost']],
    [postgres({ ssl: true }), (config) => config.postgres.ssl, 'verify'],
    [postgres({ ssl: 'false' }), (config) => config.postgres.ssl, 'off'],
    [postgres({ ssl: 'require' }), (config) => config.postgres.ssl, 'require'],
    [postgres({ db_password: '' }), (config) => config.postgres.password, ''],
    [postgres({ db_host: '/run/postgresql' }), (config) => config.postgres.host, '/run/postgresql'],
    [issuer({ map_subjects: 'true' }), (config) => config.tokenIssuer.mapSubjects, true],
    [issuer({ algorithms: 'ES256,EdDSA' }), (config) => config.tokenIssuer.algorithms, ['ES256', 'EdDSA']],
    [
      { objects: { public_url: 'https://cdn.example/pictures/' } },
      (c) => c.objects.publicUrl,
      'https://cdn.example/pictures',
    ],
    [
      { objects: { directory: '/var/pictures' } },
      ({ objects }) => objects.provider === 'directory' && objects.directory,
      '/var/pictures',
    ],
    [{ limits: { sends_per_second: 0 } }, (config) => config.limits.sendBurst, 0],
    [{ limits: { send_burst: 0 } }, (config) => config.limits.sendsPerSecond, 0],
  ])('%j', (tables, value, expected) => {
    expect(value(accepted(tables))).toEqual(expected)
  })
})

describe('refused values', () => {
  test.each<[Layer['tables'], key: string, problem: RegExp]>([
    [{ ism_port: 65_536 }, 'ism_port', /out of range: 65536/],
    [{ ism_port: -1 }, 'ism_port', /out of range: -1/],
    [{ ism_port: 80.5 }, 'ism_port', /no whole number/],
    [{ ism_port: 'http' }, 'ism_port', /no whole number/],
    [{ ism_port: true }, 'ism_port', /true or false, not a whole number/],
    [{ ism_port: Number.NaN }, 'ism_port', /no whole number/],
    [{ ism_url: 'http://127.0.0.1' }, 'ism_url', /is a URL, not a host/],
    [{ ism_url: '127.0.0.1:5403' }, 'ism_url', /carries a port/],
    [{ log_level: 'wran' }, 'log_level', /did you mean "warn"/],
    [{ cors_origin: '*' }, 'cors_origin', /item 1 has a wildcard/],
    [{ cors_origin: 'https://*.example' }, 'cors_origin', /wildcard/],
    [
      { cors_origin: ['https://a.example', 'https://b.example/'] },
      'cors_origin',
      /item 2 .*did you mean "https:\/\/b.example"/,
    ],
    [{ cors_origin: 'http://a.example:80' }, 'cors_origin', /did you mean "http:\/\/a.example"/],
    [{ cors_origin: 'https://a.example/app' }, 'cors_origin', /no exact origin/],
    [{ cors_origin: 'null' }, 'cors_origin', /no origin/],
    [{ cors_origin: [4200] }, 'cors_origin', /item 1 is a number/],
    [{ use_kafka: 'yes' }, 'use_kafka', /neither true nor false/],
    [{ use_kafka: true }, 'use_kafka', /there is no \[kafka_config\]/],
    [webhook({ secrets: 'secret' }), 'webhook_config.secrets', /item 1 does not begin with "whsec_"/],
    [webhook({ secrets: ['whsec_####'] }), 'webhook_config.secrets', /item 1 is no base64/],
    [webhook({ secrets: ['whsec_dG9vIHNob3J0'] }), 'webhook_config.secrets', /item 1 has 9 bytes/],
    [webhook({ service_role: 'a b' }), 'webhook_config.service_role', /not allowed/],
    [webhook({ service_role_claim: 'a..b' }), 'webhook_config.service_role_claim', /not allowed/],
    [kafka({ topic: 't'.repeat(245) }), 'kafka_config.topic', /not allowed/],
    [kafka({ push_topic: 'notices' }), 'kafka_config.push_topic', /is also topic/],
    [kafka({ push_topic: 'notices.dead' }), 'kafka_config.push_topic', /records that cannot be used/],
    [kafka({ push_topic: 'a topic' }), 'kafka_config.push_topic', /not allowed/],
    [{ push_notification_url: 'push.example' }, 'push_notification_url', /is no URL/],
    [{ push_notification_url: 'ftp://push.example' }, 'push_notification_url', /begins with http/],
    [{ push_notification_url: 'https://me:secret@push.example' }, 'push_notification_url', /user name/],
    [{ push_notification_access_token: 'a b' }, 'push_notification_access_token', /not allowed/],
    [{ push_max_age_seconds: 9 }, 'push_max_age_seconds', /out of range/],
    [kafka({ brokers: 'kafka://b:9092' }), 'kafka_config.brokers', /item 1 is a URL/],
    [kafka({ brokers: 7 }), 'kafka_config.brokers', /item 1 is a number/],
    [kafka({ partition: [-1] }), 'kafka_config.partition', /item 1 is out of range/],
    [kafka({ sasl_mechanism: 'gssapi' }), 'kafka_config.sasl_mechanism', /none of the possible values/],
    [kafka({ sasl_mechanism: 'plain' }), 'kafka_config.sasl_user', /is missing beside sasl_mechanism/],
    [kafka({ sasl_mechanism: 'plain', sasl_user: 'u' }), 'kafka_config.sasl_password', /is missing beside sasl_user/],
    [kafka({ tls: true, tls_cert: 'absent.pem' }), 'kafka_config.tls_key', /is missing beside tls_cert/],
    [{ kafka_config: { topic: 't' } }, 'kafka_config.bootstrap_host', /is missing/],
    [{ redis_cache_url: 'http://localhost' }, 'redis_cache_url', /redis:\/\//],
    [{ redis_cache_url: 'redis://localhost/cache' }, 'redis_cache_url', /no number of a database/],
    [{ redis_cache_url: 'redis://:100%secret@localhost' }, 'redis_cache_url', /"%".*%25/],
    [postgres({ db_host: 'postgres://localhost' }), 'user_db_config.db_host', /is a URL/],
    [postgres({ db_port: 0 }), 'user_db_config.db_port', /out of range/],
    [postgres({ db_password: 12_345 }), 'user_db_config.db_password', /is a number, not a text in quotes/],
    [postgres({ ssl: 'on' }), 'user_db_config.ssl', /none of the possible values/],
    [postgres({ ssl_ca: 'absent.pem' }), 'user_db_config.ssl_ca', /cannot be read \(ENOENT\)/],
    [
      postgres({ ssl: 'verify', ssl_ca: import.meta.filename }),
      'user_db_config.ssl_ca',
      /no PEM file with certificates/,
    ],
    [postgres({ pool_size: 0 }), 'user_db_config.pool_size', /out of range/],
    [
      issuer({ iss_host: 'localhost:8180' }),
      'token_issuer.iss_host',
      /no URL that begins with https:\/\/ or http:\/\//,
    ],
    [issuer({ iss_host: 'https://me:pass@idp.example' }), 'token_issuer.iss_host', /carries a user name or a password/],
    [issuer({ iss_realm: 'a/b' }), 'token_issuer.iss_realm', /not allowed/],
    [issuer({ issuer: 'https://idp.example' }), 'token_issuer.issuer', /stands beside iss_host/],
    [issuer({ algorithms: ['RS256', 'HS256'] }), 'token_issuer.algorithms', /item 2 is symmetric/],
    [issuer({ algorithms: 'none' }), 'token_issuer.algorithms', /signs nothing/],
    [issuer({ algorithms: [] }), 'token_issuer.algorithms', /is empty/],
    [issuer({ clock_leeway: 301 }), 'token_issuer.clock_leeway', /out of range/],
    [issuer({ audience: '' }), 'token_issuer.audience', /is empty/],
    [{ token_issuer: { iss_host: 'https://idp.example' } }, 'token_issuer.iss_realm', /is missing/],
    [{ token_issuer: { iss_realm: 'r' } }, 'token_issuer.iss_host', /is missing/],
    [{ token_issuer: {} }, 'token_issuer.issuer', /is missing/],
    [{ token_issuer: 'https://idp.example' }, 'token_issuer', /is no section/],
    [{ users: { provision: 'manual' } }, 'users.provision', /none of the possible values/],
    [{ objects: { bucket_name: '..' } }, 'objects.bucket_name', /not allowed/],
    [{ log: { retention_hours: 23 } }, 'log.retention_hours', /out of range/],
    [{ metrics: { port: 5403 } }, 'metrics.port', /is also ism_port/],
    [{ limits: { sends_per_second: -1 } }, 'limits.sends_per_second', /out of range/],
  ])('%j', (tables, key, problem) => {
    const problems = problemsOf(tables)
    expect(problems).toContainEqual({
      key,
      source: SOURCE,
      problem: expect.stringMatching(problem),
      expected: expect.any(String),
    })
  })
})

test('a number that TOML cannot hold exactly is out of range', () => {
  const [problem] = problemsOf(parseToml('ism_port = 9007199254740993'))
  expect(problem).toMatchObject({ key: 'ism_port', problem: 'is out of range' })
})

describe('unknown names', () => {
  test.each<[Layer['tables'], key: string, problem: string]>([
    [{ ism_prot: 1 }, 'ism_prot', 'is no known key (did you mean ism_port?)'],
    [{ users_db_config: {} }, 'users_db_config', 'is no known section (did you mean user_db_config?)'],
    [postgres({ dbHost: 'x' }), 'user_db_config.dbHost', 'is no known key (did you mean db_host?)'],
    [postgres({ ism_port: 1 }), 'user_db_config.ism_port', 'does not belong into [user_db_config]'],
    [{ limits: { max_per_user: 1 } }, 'limits.max_per_user', 'is no known key (did you mean streams.max_per_user?)'],
    [{ limits: { tea: 1 } }, 'limits.tea', 'is no known key'],
    [{ ['__proto__']: { polluted: 1 } }, '__proto__', 'is no known section'],
    [{ constructor: 1 }, 'constructor', 'is no known key'],
  ])('%j', (tables, key, problem) => {
    expect(problemsOf(tables)).toContainEqual(expect.objectContaining({ key, problem }))
  })
})

test('missing sections and keys are a problem each, beside all others', () => {
  const { problems } = judged({ ism_port: 'x', user_db_config: { db_host: 'localhost', db_name: 7 } })
  expect(problems.map(({ key, problem }) => `${key} ${problem}`).sort()).toEqual([
    'ism_port is no whole number',
    'token_issuer is missing',
    'user_db_config.db_name is a number, not a text in quotes',
    'user_db_config.db_password is missing',
    'user_db_config.db_user is missing',
  ])
})

describe('the issuer', () => {
  test.each([
    [{ iss_host: 'https://idp.example//', iss_realm: 'r' }, 'https://idp.example/realms/r'],
    [{ iss_host: 'https://idp.example/auth', iss_realm: 'r' }, 'https://idp.example/auth/realms/r'],
    [{ issuer: 'https://idp.example/' }, 'https://idp.example/'],
    [{ issuer: 'http://idp.example' }, 'http://idp.example'],
  ])('of %j is %s, with its metadata below', (section, issuer) => {
    const { tokenIssuer } = accepted({ token_issuer: section })
    expect(tokenIssuer.issuer).toBe(issuer)
    expect(tokenIssuer.discoveryUrl).toBe(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`)
  })

  test('discovery_url is taken as it is; one that is no metadata document is warned of', () => {
    const url = 'http://keycloak:8080/realms/my-realm'
    const { config, warnings } = judged({ ...MINIMUM, ...issuer({ discovery_url: url }) })
    expect(config?.tokenIssuer.discoveryUrl).toBe(url)
    expect(warnings).toEqual([expect.objectContaining({ key: 'token_issuer.discovery_url' })])
  })
})

describe('aliases of [object_db_config]', () => {
  const canonical = { db_user: 'u', db_url: 'http://localhost:9000', db_password: 'p', bucket_name: 'b' }
  const aliased = { access_key: 'u', storage_url: 'http://localhost:9000', secret_key: 'p', bucket_name: 'b' }
  const keysWithProblems = (section: object) => problemsOf({ object_db_config: section }).map(({ key }) => key)

  test('mean the same', () => {
    const { objects } = accepted({ object_db_config: aliased })
    expect(objects).toMatchObject({ accessKey: 'u', endpoint: 'http://localhost:9000', secretKey: 'p' })
    expect(accepted({ object_db_config: { ...canonical, ...aliased } }).objects).toEqual(objects)
  })

  test('both given and different is a problem that shows neither value', () => {
    const problems = problemsOf({ object_db_config: { ...canonical, secret_key: 'other-secret' } })
    expect(problems).toContainEqual(expect.objectContaining({ key: 'object_db_config.secret_key' }))
    expect(JSON.stringify(problems)).not.toContain('other-secret')
  })

  test('without them, what is missing has its first name', () => {
    expect(keysWithProblems({ bucket_name: 'b' })).toEqual([
      'object_db_config.db_url',
      'object_db_config.db_user',
      'object_db_config.db_password',
    ])
  })
})

test('keys that this version does not use yet are judged, accepted and warned of', () => {
  const { config, warnings } = judged({
    ...MINIMUM,
    token_issuer: { ...MINIMUM.token_issuer, valid_admin_client: 'admin' },
  })
  expect(config).toBeDefined()
  expect(warnings.map(({ key }) => key)).toEqual(['token_issuer.valid_admin_client'])
})

describe('layers', () => {
  const base: Layer = { source: 'base', tables: { ...MINIMUM, ism_port: 1000, limits: { send_burst: 5 } } }

  test('the last one that sets a key wins, key by key', () => {
    const top: Layer = { source: 'top', tables: { limits: { rooms_per_hour: 7 }, ism_port: 2000 } }
    const { config } = judge([base, top], { directory: '/' })
    expect(config?.server.port).toBe(2000)
    expect(config?.limits).toMatchObject({ sendBurst: 5, roomsPerHour: 7 })
  })

  test('what a binding one sets cannot be changed above it', () => {
    const top: Layer = { source: 'top', tables: { user_db_config: { db_host: 'production.example' } } }
    const { config, problems } = judge([{ ...base, binding: true }, top], { directory: '/' })
    expect(config).toBeUndefined()
    expect(problems).toEqual([
      { key: 'user_db_config.db_host', source: 'top', problem: 'is set by base', expected: 'it to be left out here' },
    ])
  })
})
