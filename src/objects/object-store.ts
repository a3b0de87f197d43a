/** The port behind which pictures live. */
import type { Readable } from 'node:stream'
import { type AppError, unavailable } from '../shared/app-error.ts'

export type ObjectInfo = {
  contentType: string
  /** Of the whole object, in bytes. */
  size: number
  /** A strong entity tag with its quotes (RFC 9110, section 8.8.3). */
  etag: string
}

export type StoredObject = ObjectInfo & {
  /** The object or the part of it that was asked for; breaks with an error where the store does. */
  body: Readable
}

/** Both ends included; within the object. */
export type Part = { start: number; end: number }

/**
 * Whatever the store refuses or does not answer in time rejects with SERVICE_UNAVAILABLE. No key may be a folder of
 * another (`a` beside `a/b`): some S3 servers keep objects as files.
 */
export interface ObjectStore {
  /** Durable once it resolves; the same key again replaces the object. */
  put(key: string, body: Buffer, contentType: string): Promise<void>
  /** `undefined` where there is no such object; the caller consumes or destroys `body`. */
  get(key: string, part?: Part): Promise<StoredObject | undefined>
  /** What `get` tells, without the body. */
  head(key: string): Promise<ObjectInfo | undefined>
  /** Deleting what is not there is no error. */
  delete(key: string): Promise<void>
  /** Rejects where the store does not answer, or refuses ISM; cheap enough for every second. */
  check(): Promise<void>
}

export const storeUnavailable = (cause: unknown): AppError => unavailable('The picture store is not available.', cause)
