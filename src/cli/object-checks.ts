/** Tries where pictures are kept, a directory or a bucket, and says what has to be done about it. */
import { access, constants, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { DirectoryConfig, S3Config } from '../config/config.ts'
import { oneLine } from './error-report.ts'

export async function checkDirectory({ directory }: DirectoryConfig): Promise<string> {
  const found = await stat(directory).catch(() => undefined)
  if (found && !found.isDirectory()) throw new Error(`${directory} is no directory`)
  if (!found) {
    await access(await nearestExisting(dirname(directory)), constants.W_OK | constants.X_OK)
    return `${directory} will be made`
  }
  const probe = join(directory, `.check-${process.pid}`)
  await writeFile(probe, '')
  await rm(probe)
  return `${directory} is writable`
}

async function nearestExisting(directory: string): Promise<string> {
  const isThere = await stat(directory).then(
    (found) => found.isDirectory(),
    () => false,
  )
  return isThere || dirname(directory) === directory ? directory : nearestExisting(dirname(directory))
}

/** Always the same name: a probe that may not be deleted again is at least the only one. */
const PROBE = 'ism-check'
const CONTENT = 'written by ism check-config'

/** Writes, reads and deletes a small object, as ISM will. */
export async function checkBucket(config: S3Config): Promise<string> {
  const denied = await deniedActions(config).catch((error: unknown) => {
    if (codeOf(error) === 'NoSuchBucket' && config.createBucket) return undefined
    throw new Error(explain(error as S3Error, config))
  })
  if (denied === undefined) return `the bucket "${config.bucket}" will be made`
  if (denied.length > 0) throw new Error(denial(denied, config))
  return `the bucket "${config.bucket}" can be written and read`
}

type Action = { name: string; permission: string; run: () => Promise<unknown> }

async function deniedActions(config: S3Config): Promise<Action[]> {
  const [{ createS3Client, within, CALL_MS }, { DeleteObjectCommand, GetObjectCommand, PutObjectCommand }] =
    await Promise.all([import('../objects/s3-client.ts'), import('@aws-sdk/client-s3')])
  const client = createS3Client(config)
  const probe = { Bucket: config.bucket, Key: PROBE }
  const put = new PutObjectCommand({ ...probe, Body: CONTENT, ContentType: 'text/plain' })
  const read = async () => {
    const found = await client.send(new GetObjectCommand(probe), within(CALL_MS)).catch(unlessMissing)
    if (found && (await found.Body?.transformToString()) !== CONTENT) throw new Error(noServerAt(config.endpoint))
  }
  const actions: Action[] = [
    { name: 'write', permission: 's3:PutObject', run: () => client.send(put, within(CALL_MS)) },
    { name: 'read', permission: 's3:GetObject', run: read },
    {
      name: 'delete',
      permission: 's3:DeleteObject',
      run: () => client.send(new DeleteObjectCommand(probe), within(CALL_MS)),
    },
    // Without it what is not there is refused like what is secret, and ISM could not answer 404.
    { name: 'see that an object is missing', permission: 's3:ListBucket', run: read },
  ]
  const denied: Action[] = []
  try {
    for (const action of actions) if (await isDenied(action)) denied.push(action)
  } finally {
    client.destroy()
  }
  return denied
}

function isDenied({ run }: Action): Promise<boolean> {
  return run().then(
    () => false,
    (error: unknown) => {
      if (codeOf(error) === 'AccessDenied') return true
      throw error
    },
  )
}

function unlessMissing(error: unknown): undefined {
  if (codeOf(error) !== 'NoSuchKey') throw error
}

function denial(denied: Action[], { bucket, accessKey }: S3Config): string {
  const names = denied.map(({ name }) => name)
  const what = names.includes('write') && !names.includes('read') ? 'is read-only for' : 'is not open to'
  const permissions = denied.map(({ permission }) => permission).join(', ')
  return `the bucket "${bucket}" ${what} the access key "${accessKey}", which may not ${names.join(', ')}: grant it ${permissions}`
}

const SECTION = 'object_db_config'

/** An error of the SDK: what the server answered, or why there is no answer. */
type S3Error = Error & {
  /** As the body of the answer says; an answer without one is no S3 server's. */
  Code?: string
  Region?: string
  $metadata?: { httpStatusCode?: number }
  $response?: { headers: Record<string, string> }
}

const codeOf = (error: unknown) => (error as S3Error).Code

/** In words that say what to do, without what the server says about signatures. */
function explain(error: S3Error, { bucket, accessKey, endpoint, region }: S3Config): string {
  const { Code: code, $metadata, name } = error
  if (/^(Timeout|Abort)Error$/.test(name)) return `${endpoint} does not answer: check ${SECTION}.db_url`
  if ($metadata === undefined) return error.message
  if ($metadata.httpStatusCode === undefined)
    return `cannot connect to ${endpoint}: ${oneLine(error)}; check ${SECTION}.db_url`
  if (code === undefined) return noServerAt(endpoint)
  if (code === 'InvalidAccessKeyId') return `the server knows no access key "${accessKey}": check ${SECTION}.db_user`
  if (code === 'SignatureDoesNotMatch')
    return `the secret key is not that of the access key "${accessKey}": check ${SECTION}.db_password`
  if (code === 'NoSuchBucket') return `there is no bucket "${bucket}": make it, or set ${SECTION}.create_bucket = true`
  if (code === 'RequestTimeTooSkewed') return 'the clock of this machine or of the server is wrong: set it'
  const home = error.Region ?? error.$response?.headers['x-amz-bucket-region'] ?? region
  if (home !== region) return `the bucket "${bucket}" is in the region "${home}": check ${SECTION}.region and db_url`
  if (/Redirect$/.test(code)) return `the bucket "${bucket}" is elsewhere: check ${SECTION}.region and db_url`
  return `the server refuses: ${code}, ${oneLine(error)}`
}

const noServerAt = (endpoint: string) => `what answers at ${endpoint} is no S3 server: check ${SECTION}.db_url`
