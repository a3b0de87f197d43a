/**
 * `ism check-config --connect` on servers that answer as Amazon does where a key may not do everything, or is of another
 * region: the S3 server of the other tests knows neither permissions nor regions.
 */
import { expect, test } from 'vitest'
import { checkBucketOf } from '../support/bucket-check.ts'
import { refuse, type StubAnswer, startS3Stub } from '../support/s3-stub.ts'

const check = (url: string, overrides: Record<string, string | boolean> = {}) =>
  checkBucketOf({ db_url: url, db_user: 'KEY', db_password: 'SECRET', bucket_name: 'pictures', ...overrides })

const denied: StubAnswer = (_, res) => refuse(res, 403, 'AccessDenied')

/** A bucket of one object at most, in which some methods are denied. */
function bucketWithout(...methods: string[]): StubAnswer {
  let object: string | undefined
  return (req, res) => {
    const { method = '' } = req
    if (methods.includes(method)) return denied(req, res, '')
    if (method === 'GET' && object === undefined)
      return methods.includes('LIST') ? denied(req, res, '') : refuse(res, 404, 'NoSuchKey')
    if (method === 'PUT') object = 'written by ism check-config'
    if (method === 'DELETE') object = undefined
    res.end(method === 'GET' ? object : undefined)
  }
}

test.each([
  [
    ['PUT', 'DELETE'],
    'is read-only for the access key "KEY", which may not write, delete',
    's3:PutObject, s3:DeleteObject',
  ],
  [['PUT'], 'is read-only for the access key "KEY", which may not write', 's3:PutObject'],
  [['DELETE'], 'is not open to the access key "KEY", which may not delete', 's3:DeleteObject'],
  [['LIST'], 'is not open to the access key "KEY", which may not see that an object is missing', 's3:ListBucket'],
  [
    ['PUT', 'GET', 'DELETE'],
    'is not open to the access key "KEY", which may not write, read, delete, see that an object is missing',
    's3:PutObject, s3:GetObject, s3:DeleteObject, s3:ListBucket',
  ],
])('where %j are denied', async (methods, what, permissions) => {
  const url = await startS3Stub(bucketWithout(...methods))
  expect(await check(url)).toBe(`failed: the bucket "pictures" ${what}: grant it ${permissions}`)
})

test('where nothing is', async () => {
  const url = await startS3Stub(bucketWithout())
  expect(await check(url)).toBe('ok: the bucket "pictures" can be written and read')
})

test('a bucket of another region, which some servers name', async () => {
  const header = { 'x-amz-bucket-region': 'eu-west-1' }
  const redirect = await startS3Stub((_, res) => refuse(res, 301, 'PermanentRedirect', '', header))
  const malformed = await startS3Stub((_, res) =>
    refuse(res, 400, 'AuthorizationHeaderMalformed', '<Region>eu-west-1</Region>'),
  )
  for (const url of [redirect, malformed])
    expect(await check(url)).toBe(
      'failed: the bucket "pictures" is in the region "eu-west-1": check object_db_config.region and db_url',
    )
  const silent = await startS3Stub((_, res) => refuse(res, 307, 'TemporaryRedirect'))
  expect(await check(silent)).toBe(
    'failed: the bucket "pictures" is elsewhere: check object_db_config.region and db_url',
  )
})

test('clocks that differ, and what has no words of its own', async () => {
  const skewed = await startS3Stub((_, res) => refuse(res, 403, 'RequestTimeTooSkewed'))
  expect(await check(skewed)).toBe('failed: the clock of this machine or of the server is wrong: set it')
  const busy = await startS3Stub((_, res) => refuse(res, 400, 'InvalidBucketName'))
  expect(await check(busy)).toBe('failed: the server refuses: InvalidBucketName, No, InvalidBucketName.')
})

test('nobody there, nobody who answers, and somebody who is no S3 server', async () => {
  expect(await check('http://127.0.0.1:1')).toBe(
    'failed: cannot connect to http://127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1; check object_db_config.db_url',
  )
  const silent = await startS3Stub(() => {})
  expect(await check(silent)).toBe(`failed: ${silent} does not answer: check object_db_config.db_url`)
  const page: StubAnswer = (_, res) =>
    res.writeHead(404, { 'content-type': 'text/html' }).end('<html><br>Not here</html>')
  const polite: StubAnswer = (_, res) => res.end('Hello')
  for (const answer of [page, polite]) {
    const url = await startS3Stub(answer)
    expect(await check(url)).toBe(`failed: what answers at ${url} is no S3 server: check object_db_config.db_url`)
  }
})
