/** Pictures in a bucket of an S3 server: an object's name in the bucket is its key. */
import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import type { S3Config } from '../config/config.ts'
import { isObjectKey } from './object-key.ts'
import { type ObjectInfo, type ObjectStore, type Part, type StoredObject, storeUnavailable } from './object-store.ts'
import { CALL_MS, createS3Client, within } from './s3-client.ts'

/** Reading an object, its body included: whoever reads slower than that keeps a connection from others. */
const READ_MS = 60_000

/** Begins to make the bucket where the configuration wants that, and does not wait for it. */
export function createS3ObjectStore(config: S3Config): ObjectStore {
  const store = new S3ObjectStore(config)
  store.prepare().catch(() => {}) // Tried again at the first use.
  return store
}

class S3ObjectStore implements ObjectStore {
  readonly #client: S3Client
  readonly #bucket: string
  readonly #makesBucket: boolean
  #prepared: Promise<void> | undefined

  constructor(config: S3Config) {
    this.#client = createS3Client(config)
    this.#bucket = config.bucket
    this.#makesBucket = config.createBucket
  }

  async put(key: string, body: Buffer, contentType: string): Promise<void> {
    if (!isObjectKey(key)) throw new RangeError(`Not an object key: ${JSON.stringify(key)}`)
    const command = new PutObjectCommand({ ...this.#name(key), Body: body, ContentType: contentType })
    await this.#storing(() => this.#client.send(command, within(CALL_MS)))
  }

  async get(key: string, part?: Part): Promise<StoredObject | undefined> {
    if (!isObjectKey(key)) return undefined
    const range = part && { Range: `bytes=${part.start}-${part.end}` }
    const command = new GetObjectCommand({ ...this.#name(key), ...range })
    const found = await this.#finding(() => this.#client.send(command, within(READ_MS)))
    if (!found) return undefined
    const body = found.Body as Readable
    const size = part ? sizeIn(found.ContentRange) : found.ContentLength
    if (size !== undefined) return { ...infoOf(key, size, found), body }
    body.destroy()
    throw storeUnavailable(new Error('the S3 server does not say how long the object is'))
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    if (!isObjectKey(key)) return undefined
    const command = new HeadObjectCommand(this.#name(key))
    const found = await this.#finding(() => this.#client.send(command, within(CALL_MS)))
    return found && infoOf(key, found.ContentLength ?? 0, found)
  }

  async delete(key: string): Promise<void> {
    if (!isObjectKey(key)) return
    const command = new DeleteObjectCommand(this.#name(key))
    await this.#storing(() => this.#client.send(command, within(CALL_MS)))
  }

  /** Reads only: in a bucket with versions each write would stay, and each costs money. */
  async check(): Promise<void> {
    const object = await this.get('ism-check')
    object?.body.destroy()
  }

  /** The bucket is there, or it is not for ISM to make it; once a process, again where it failed. */
  prepare(): Promise<void> {
    if (!this.#makesBucket) return Promise.resolve()
    this.#prepared ??= this.#makeBucket().catch((error: unknown) => {
      this.#prepared = undefined
      throw error
    })
    return this.#prepared
  }

  async #makeBucket(): Promise<void> {
    const bucket = { Bucket: this.#bucket }
    try {
      await this.#client.send(new HeadBucketCommand(bucket), within(CALL_MS))
    } catch (error) {
      const status = statusOf(error)
      if (status === undefined || status >= 500) throw error
      // Where it may not be looked at, what is done with it tells more.
      if (status !== 404) return
      await this.#client.send(new CreateBucketCommand(bucket), within(CALL_MS)).catch((refusal: unknown) => {
        // Another node was faster.
        if (statusOf(refusal) !== 409) throw refusal
      })
    }
  }

  async #storing<T>(work: () => Promise<T>): Promise<T> {
    try {
      await this.prepare()
      return await work()
    } catch (error) {
      if (nameOf(error) === 'NoSuchBucket') this.#prepared = undefined
      throw storeUnavailable(withoutRequest(error))
    }
  }

  #finding<T>(work: () => Promise<T>): Promise<T | undefined> {
    return this.#storing(() =>
      work().catch((error: unknown) => {
        // By name, for a missing bucket and a server of another kind are 404 too; HEAD has no body that says which.
        if (/^(NoSuchKey|NotFound)$/.test(nameOf(error))) return undefined
        throw error
      }),
    )
  }

  #name(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: key }
  }
}

type Found = { ContentType?: string | undefined; ETag?: string | undefined; LastModified?: Date | undefined }

function infoOf(key: string, size: number, { ContentType, ETag = '', LastModified }: Found): ObjectInfo {
  return {
    // All that ISM ever stored are JPEGs; ISM 0.7.9 may not have said so.
    contentType: ContentType === undefined || /octet-stream$/.test(ContentType) ? 'image/jpeg' : ContentType,
    size,
    etag: /^"[\x21\x23-\x7e\x80-\xff]+"$/.test(ETag) ? ETag : derivedTag(`${key} ${size} ${LastModified?.getTime()}`),
  }
}

/** Where a server, or a proxy before it, sends no strong tag: what a key names never changes. */
function derivedTag(about: string): string {
  return `"${createHash('sha256').update(about).digest('base64url')}"`
}

/** `bytes 10-19/200` (RFC 9110, section 14.4). */
function sizeIn(contentRange: string | undefined): number | undefined {
  const size = /\/(\d+)$/.exec(contentRange ?? '')?.[1]
  return size === undefined ? undefined : Number(size)
}

/** The SDK's errors carry the request with its signature, and the whole connection: nothing to keep or to log. */
function withoutRequest(error: unknown): Error {
  const { name, message } = error as Error
  if (name === 'AbortError') return new Error('no answer in time')
  const status = statusOf(error)
  return new Error(`${status === undefined ? name : `${name} ${status}`}: ${message}`)
}

const nameOf = (error: unknown) => (error instanceof Error ? error.name : '')

function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode
}
