/** `ism check-config --connect` on a real S3 server: what is wrong with a bucket, in words. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { bucketSection, createBucket, nameBucket, type TestBucket } from '../support/bucket.ts'
import { checkBucketOf } from '../support/bucket-check.ts'
import { S3_VARIABLES } from '../support/service-variables.ts'
import { describeWith } from '../support/services.ts'

describeWith(S3_VARIABLES, 'check-config --connect on S3', (address) => {
  let bucket: TestBucket
  let name: string

  beforeEach(async () => {
    bucket = await createBucket(address)
    name = bucket.config.bucket
  })
  afterEach(() => bucket.drop())

  const check = (overrides: Record<string, string | boolean> = {}, of = bucket) =>
    checkBucketOf({ ...bucketSection(of), ...overrides })

  test('a bucket in order is left as it was', async () => {
    expect(await check()).toBe(`ok: the bucket "${name}" can be written and read`)
    expect(await bucket.keys()).toEqual([])
  })

  test('a wrong secret key', async () => {
    expect(await check({ db_password: 'no-such-secret' })).toBe(
      `failed: the secret key is not that of the access key "${bucket.config.accessKey}": check object_db_config.db_password`,
    )
  })

  test('a wrong access key', async () => {
    expect(await check({ db_user: 'nobody' })).toBe(
      'failed: the server knows no access key "nobody": check object_db_config.db_user',
    )
  })

  test('a missing bucket, which is made neither with create_bucket', async () => {
    const missing = nameBucket(address)
    expect(await check({}, missing)).toBe(
      `failed: there is no bucket "${missing.config.bucket}": make it, or set object_db_config.create_bucket = true`,
    )
    expect(await check({ create_bucket: true }, missing)).toBe(`ok: the bucket "${missing.config.bucket}" will be made`)
    expect(await missing.exists()).toBe(false)
    await missing.drop()
  })

  test('wrong keys are not hidden by a missing bucket', async () => {
    const missing = nameBucket(address)
    const wrong = { create_bucket: true, db_password: 'no-such-secret' }
    expect(await check(wrong, missing)).toMatch(/^failed: the secret key is not that/)
    await missing.drop()
  })
})
