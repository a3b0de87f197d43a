/** The port behind which pictures live. */

export type StoredObject = {
  body: NodeJS.ReadableStream
  contentType: string
  /** In bytes. */
  size: number
  /** A strong entity tag with its quotes (RFC 9110, section 8.8.3). */
  etag: string
}

export interface ObjectStore {
  /** Durable once it resolves; the same key again replaces the object. */
  put(key: string, body: Buffer, contentType: string): Promise<void>
  /** `undefined` where there is no such object; the caller consumes or destroys `body`. */
  get(key: string): Promise<StoredObject | undefined>
  /** Deleting what is not there is no error. */
  delete(key: string): Promise<void>
  /** Rejects where the store cannot be read and written. */
  check(): Promise<void>
}
