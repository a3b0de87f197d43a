/** A bucket of a test's own, on the S3 server that the environment names. */
import { randomBytes } from 'node:crypto'
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import type { ObjectsConfig, S3Config } from '../../src/config/config.ts'
import { createS3Client } from '../../src/objects/s3-client.ts'
import type { S3_VARIABLES } from './service-variables.ts'

export type S3Address = Record<(typeof S3_VARIABLES)[number], string>

/** Looked into and filled past ISM. */
export type TestBucket = {
  config: S3Config & ObjectsConfig
  exists(): Promise<boolean>
  keys(): Promise<string[]>
  put(key: string, body: Buffer, contentType?: string): Promise<void>
  get(key: string): Promise<Buffer>
  /** With all that is in it, where it is there. */
  drop(): Promise<void>
}

/** `[object_db_config]` of a configuration file. */
export function bucketSection({ config }: TestBucket, endpoint = config.endpoint): Record<string, string> {
  const { accessKey, secretKey, bucket, region } = config
  return { db_url: endpoint, db_user: accessKey, db_password: secretKey, bucket_name: bucket, region }
}

/** A bucket that is not there yet. */
export function nameBucket(address: S3Address): TestBucket {
  const config: TestBucket['config'] = {
    provider: 's3',
    endpoint: address.ISM_TEST_S3_ENDPOINT,
    region: address.ISM_TEST_S3_REGION,
    accessKey: address.ISM_TEST_S3_ACCESS_KEY,
    secretKey: address.ISM_TEST_S3_SECRET_KEY,
    bucket: `ism-test-${randomBytes(8).toString('hex')}`,
    pathStyle: true,
    createBucket: false,
    publicUrl: undefined,
  }
  const client = createS3Client(config)
  const bucket = { Bucket: config.bucket }
  const exists = () =>
    client.send(new HeadBucketCommand(bucket)).then(
      () => true,
      () => false,
    )
  const keys = async () => {
    const { Contents = [] } = await client.send(new ListObjectsV2Command(bucket))
    return Contents.map(({ Key = '' }) => Key)
  }
  return {
    config,
    exists,
    keys,
    async put(key, body, contentType) {
      await client.send(new PutObjectCommand({ ...bucket, Key: key, Body: body, ContentType: contentType }))
    },
    async get(key) {
      const { Body } = await client.send(new GetObjectCommand({ ...bucket, Key: key }))
      return Buffer.from((await Body?.transformToByteArray()) ?? [])
    },
    async drop() {
      if (await exists()) {
        for (const key of await keys()) await client.send(new DeleteObjectCommand({ ...bucket, Key: key }))
        await client.send(new DeleteBucketCommand(bucket))
      }
      client.destroy()
    },
  }
}

export async function createBucket(address: S3Address): Promise<TestBucket> {
  const bucket = nameBucket(address)
  const client = createS3Client(bucket.config)
  await client.send(new CreateBucketCommand({ Bucket: bucket.config.bucket }))
  client.destroy()
  return bucket
}
