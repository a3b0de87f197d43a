/** Judges `[objects]` and `[object_db_config]`: where pictures are kept, and under which URL browsers find them. */
import { resolve } from 'node:path'
import type { ObjectsConfig } from './config.ts'
import type { Judgement } from './judgement.ts'

const S3 = 'object_db_config'

/** Pictures are in a directory where there is no `[object_db_config]`. */
export function judgeObjectStore(judgement: Judgement, directory: string): ObjectsConfig {
  const { values, sections } = judgement
  const { objects, object_db_config: s3 } = values
  if (!sections.has(S3)) {
    return {
      provider: 'directory',
      directory: resolve(directory, objects.directory),
      bucket: objects.bucket_name,
      publicUrl: withoutFinalSlash(objects.public_url),
    }
  }
  refuseBoth(judgement)
  return {
    provider: 's3',
    endpoint: s3.db_url,
    region: s3.region,
    accessKey: s3.db_user,
    secretKey: s3.db_password,
    bucket: s3.bucket_name,
    pathStyle: s3.path_style,
    createBucket: s3.create_bucket,
    publicUrl: withoutFinalSlash(s3.public_url ?? objects.public_url),
  }
}

/** `public_url` of `[objects]` holds for either store. */
function refuseBoth({ given, problems, values }: Judgement): void {
  for (const key of ['directory', 'bucket_name']) {
    const entry = given.get(`objects.${key}`)
    if (!entry) continue
    const problem = `stands beside [${S3}]`
    problems.push({ key: `objects.${key}`, source: entry.source, problem, expected: 'a directory or S3, not both' })
  }
  const one = values.object_db_config.public_url
  const other = given.get('objects.public_url')
  if (one !== undefined && other && values.objects.public_url !== one) {
    const expected = 'only one of them'
    const problem = `is not ${S3}.public_url`
    problems.push({ key: 'objects.public_url', source: other.source, problem, expected })
  }
}

const withoutFinalSlash = (url: string | undefined) => url?.replace(/\/+$/, '')
