/** What ISM 0.7.9 leaves in the bucket: a JPEG under the id of its room. */
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import sharp from 'sharp'
import type { Community } from './community.ts'

export type S3Address = { endpoint: string; region: string; accessKey: string; secretKey: string }

/** Makes the bucket, too. @returns the pictures by the ids of their rooms */
export async function fillBucket(
  address: S3Address,
  bucket: string,
  { rooms }: Community,
): Promise<Map<string, Buffer>> {
  const pictures = new Map<string, Buffer>()
  await withS3(address, async (s3) => {
    await s3.send(new CreateBucketCommand({ Bucket: bucket }))
    for (const { id, hasPicture } of rooms) {
      if (!hasPicture) continue
      const picture = await pictureOf(`#${id.slice(0, 6)}`)
      await s3.send(new PutObjectCommand({ Bucket: bucket, Key: id, Body: picture, ContentType: 'image/jpeg' }))
      pictures.set(id, picture)
    }
  })
  return pictures
}

export function pictureOf(background: string, width = 500, height = 320): Promise<Buffer> {
  return sharp({ create: { width, height, channels: 3, background } })
    .jpeg()
    .toBuffer()
}

export function dropBucket(address: S3Address, bucket: string): Promise<void> {
  return withS3(address, async (s3) => {
    for (const key of await keysIn(s3, bucket)) await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }))
    await s3.send(new DeleteBucketCommand({ Bucket: bucket }))
  })
}

export function listKeys(address: S3Address, bucket: string): Promise<string[]> {
  return withS3(address, (s3) => keysIn(s3, bucket))
}

async function keysIn(s3: S3Client, bucket: string): Promise<string[]> {
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket }))
  return Contents.flatMap(({ Key }) => Key ?? [])
}

async function withS3<T>(
  { endpoint, region, accessKey, secretKey }: S3Address,
  action: (s3: S3Client) => Promise<T>,
): Promise<T> {
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true'
  const s3 = new S3Client({
    endpoint,
    region,
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
    forcePathStyle: true,
    // Servers other than Amazon's may store the checksums' framing with the body.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  })
  try {
    return await action(s3)
  } finally {
    s3.destroy()
  }
}
