/** What a run has on the real servers: a database, a keyspace and a bucket of its own, and the configuration for them. */
import { randomBytes } from 'node:crypto'
import { DeleteBucketCommand, DeleteObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import pg from 'pg'
import { connectClient, dropKeyspace } from '../../tests/support/keyspace.ts'
import { KEYCLOAK_VARIABLES, S3_VARIABLES } from '../../tests/support/service-variables.ts'

export const VARIABLES = [
  'ISM_TEST_POSTGRES_URL',
  'ISM_TEST_CASSANDRA',
  'ISM_TEST_CASSANDRA_DC',
  ...S3_VARIABLES,
  ...KEYCLOAK_VARIABLES,
] as const

export type Addresses = Record<(typeof VARIABLES)[number], string>

export type Servers = {
  /** A configuration file's text. */
  configuration(port: number): string
  remove(): Promise<void>
}

/** The keyspace and the bucket are ISM's to make. */
export async function makeServers(addresses: Addresses): Promise<Servers> {
  const random = randomBytes(6).toString('hex')
  const [database, keyspace, bucket] = [`ism_packed_${random}`, `ism_packed_${random}`, `ism-packed-${random}`]
  await onPostgres(addresses, `create database ${database}`)
  return {
    configuration: (port) => configuration(addresses, { database, keyspace, bucket, port }),
    async remove() {
      await onPostgres(addresses, `drop database ${database} with (force)`)
      const cassandra = await connectClient(addresses.ISM_TEST_CASSANDRA)
      await dropKeyspace(cassandra, keyspace)
      await cassandra.shutdown()
      await removeBucket(addresses, bucket)
    },
  }
}

type Names = { database: string; keyspace: string; bucket: string; port: number }

/** A JSON text is a TOML text. */
function configuration(addresses: Addresses, { database, keyspace, bucket, port }: Names): string {
  const postgres = new URL(addresses.ISM_TEST_POSTGRES_URL)
  const text = (value: string) => JSON.stringify(decodeURIComponent(value))
  return `
ism_port = ${port}

[user_db_config]
db_host = ${text(postgres.hostname)}
db_port = ${postgres.port || 5432}
db_user = ${text(postgres.username)}
db_password = ${text(postgres.password)}
db_name = ${text(database)}

[message_db_config]
db_url = ${text(addresses.ISM_TEST_CASSANDRA)}
db_keyspace = ${text(keyspace)}
local_datacenter = ${text(addresses.ISM_TEST_CASSANDRA_DC)}

[object_db_config]
db_url = ${text(addresses.ISM_TEST_S3_ENDPOINT)}
db_user = ${text(addresses.ISM_TEST_S3_ACCESS_KEY)}
db_password = ${text(addresses.ISM_TEST_S3_SECRET_KEY)}
bucket_name = ${text(bucket)}
region = ${text(addresses.ISM_TEST_S3_REGION)}
create_bucket = true
public_url = "http://127.0.0.1:${port}/objects"

[token_issuer]
iss_host = ${text(addresses.ISM_TEST_KEYCLOAK_URL)}
iss_realm = ${text(addresses.ISM_TEST_KEYCLOAK_REALM)}
audience = ${text(addresses.ISM_TEST_KEYCLOAK_AUDIENCE)}
`
}

async function onPostgres({ ISM_TEST_POSTGRES_URL: connectionString }: Addresses, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

async function removeBucket(addresses: Addresses, Bucket: string): Promise<void> {
  const client = new S3Client({
    endpoint: addresses.ISM_TEST_S3_ENDPOINT,
    region: addresses.ISM_TEST_S3_REGION,
    credentials: { accessKeyId: addresses.ISM_TEST_S3_ACCESS_KEY, secretAccessKey: addresses.ISM_TEST_S3_SECRET_KEY },
    forcePathStyle: true,
  })
  try {
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket }))
    for (const { Key } of Contents) await client.send(new DeleteObjectCommand({ Bucket, Key }))
    await client.send(new DeleteBucketCommand({ Bucket }))
  } catch (error) {
    // A run that failed early has not made one.
    if ((error as Error).name !== 'NoSuchBucket') throw error
  } finally {
    client.destroy()
  }
}
