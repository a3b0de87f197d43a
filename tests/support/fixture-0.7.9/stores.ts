/** A database, a keyspace and a bucket of ISM 0.7.9, on the servers that the environment names. */
import pg from 'pg'
import { S3_VARIABLES } from '../service-variables.ts'
import { type Cluster, dropKeyspace, fillCassandra } from './cassandra.ts'
import type { Community } from './community.ts'
import { dropBucket, fillBucket, type S3Address } from './pictures.ts'
import { fillPostgres } from './postgres.ts'

/** The variables of the tests against real servers. */
export const VARIABLES = [
  'ISM_TEST_POSTGRES_URL',
  'ISM_TEST_CASSANDRA',
  'ISM_TEST_CASSANDRA_DC',
  ...S3_VARIABLES,
] as const

export type Servers = Record<(typeof VARIABLES)[number], string>

export type LegacyStores = {
  /** Of the database. */
  postgres: { host: string; port: number; user: string; password: string; database: string }
  cassandra: Cluster
  keyspace: string
  s3: S3Address
  bucket: string
}

/** @param name letters, digits and underscores: the database and the keyspace; the bucket has dashes for underscores */
export function legacyStores(servers: Servers, name: string): LegacyStores {
  const { hostname, port, username, password } = new URL(servers.ISM_TEST_POSTGRES_URL)
  const [user, secret] = [username, password].map(decodeURIComponent) as [string, string]
  return {
    postgres: { host: hostname, port: Number(port || 5432), user, password: secret, database: name },
    cassandra: {
      contactPoints: servers.ISM_TEST_CASSANDRA.split(','),
      localDataCenter: servers.ISM_TEST_CASSANDRA_DC,
    },
    keyspace: name,
    s3: {
      endpoint: servers.ISM_TEST_S3_ENDPOINT,
      region: servers.ISM_TEST_S3_REGION,
      accessKey: servers.ISM_TEST_S3_ACCESS_KEY,
      secretKey: servers.ISM_TEST_S3_SECRET_KEY,
    },
    bucket: name.replaceAll('_', '-'),
  }
}

/** Makes all three, which must not be there yet. @returns the pictures by the ids of their rooms */
export async function fillStores(
  servers: Servers,
  stores: LegacyStores,
  community: Community,
): Promise<Map<string, Buffer>> {
  await asSuperuser(servers, `create database ${stores.postgres.database} template template0`)
  const [pictures] = await Promise.all([
    fillBucket(stores.s3, stores.bucket, community),
    fillPostgres(stores.postgres, community, stores.bucket),
    fillCassandra(stores.cassandra, stores.keyspace, community),
  ])
  return pictures
}

export async function dropStores(servers: Servers, stores: LegacyStores): Promise<void> {
  await Promise.all([
    asSuperuser(servers, `drop database if exists ${stores.postgres.database} with (force)`),
    dropKeyspace(stores.cassandra, stores.keyspace),
    dropBucket(stores.s3, stores.bucket),
  ])
}

async function asSuperuser(servers: Servers, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: servers.ISM_TEST_POSTGRES_URL })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

/** `production.config.toml` as an operator of ISM 0.7.9 has it: every key of its README, written as there. */
export function legacyConfiguration(
  { postgres, cassandra, keyspace, s3, bucket }: LegacyStores,
  issuer: { host: string; realm: string },
  port = 5403,
): string {
  return `ism_url = "127.0.0.1" #Root URL, dont use localhost if you want to use IPv4 instead of IPv6
ism_port= ${port}
log_level = "info"
cors_origin = "http://localhost:4200"
use_kafka = false

[message_db_config]
db_url = "${cassandra.contactPoints?.join(',')}"
db_user = "cassandra"
db_password = "cassandra"
db_keyspace = "${keyspace}"
with_db_init = true

[user_db_config]
db_host = "${postgres.host}"
db_port = "${postgres.port}"
db_user = "${postgres.user}"
db_password = "${postgres.password}"
db_name = "${postgres.database}"

[token_issuer]
iss_host = "${issuer.host}/"
iss_realm = "${issuer.realm}"

[object_db_config]
db_user = "${s3.accessKey}"
db_url = "${s3.endpoint}"
db_password = "${s3.secretKey}"
bucket_name = "${bucket}"

[kafka_config]
bootstrap_host = "localhost"
bootstrap_port = 19192
topic = "user-notification-events"
client_id = "ism-1"
partition = [0]
consumer_group = "ism"
`
}
