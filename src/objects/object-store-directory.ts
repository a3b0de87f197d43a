/** Pictures in a directory of this machine: one file an object. */

import { createHash, randomUUID } from 'node:crypto'
import { constants, type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { isObjectKey } from './object-key.ts'
import { type ObjectInfo, type ObjectStore, type Part, type StoredObject, storeUnavailable } from './object-store.ts'

/*
 * A file is a line of JSON, the header, and then the body, so that one rename replaces the object with all that is known
 * about it. Its name is the key's SHA-256: keys that differ by case only, or of which one is the other's folder, never
 * meet, whatever the file system, and no key can name a path.
 */
type Header = { key: string; contentType: string; etag: string }

const MAX_HEADER_BYTES = 4096
const ABANDONED_AFTER_MS = 3_600_000

/** Made at the first use; `directory` itself may be a symbolic link, what lies in it is never followed as one. */
export function createDirectoryObjectStore(directory: string): ObjectStore {
  return new DirectoryObjectStore(resolve(directory))
}

class DirectoryObjectStore implements ObjectStore {
  readonly #objects: string
  readonly #incoming: string
  #prepared: Promise<void> | undefined

  constructor(directory: string) {
    this.#objects = directory
    this.#incoming = join(directory, 'incoming')
  }

  async put(key: string, body: Buffer, contentType: string): Promise<void> {
    if (!isObjectKey(key)) throw new RangeError(`Not an object key: ${JSON.stringify(key)}`)
    const etag = `"${createHash('sha256').update(body).digest('base64url')}"`
    const header = Buffer.from(`${JSON.stringify({ key, contentType, etag } satisfies Header)}\n`)
    if (header.length > MAX_HEADER_BYTES) throw new RangeError('The content type is too long')
    await storing(async () => {
      await this.#prepare()
      const temporary = join(this.#incoming, randomUUID())
      try {
        await writeDurably(temporary, [header, body])
        await rename(temporary, this.#pathOf(key))
      } catch (error) {
        await rm(temporary, { force: true })
        throw error
      }
      await syncDirectory(this.#objects)
    })
  }

  async get(key: string, part?: Part): Promise<StoredObject | undefined> {
    if (!isObjectKey(key)) return undefined
    return await storing(async () => {
      const file = await openIfThere(this.#pathOf(key))
      if (file === undefined) return undefined
      try {
        return await readObject(file, part)
      } catch (error) {
        await file.close()
        throw error
      }
    })
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    const object = await this.get(key)
    if (object === undefined) return undefined
    const { body, ...info } = object
    body.destroy()
    return info
  }

  async delete(key: string): Promise<void> {
    if (!isObjectKey(key)) return
    await storing(() => rm(this.#pathOf(key), { force: true }))
  }

  async check(): Promise<void> {
    const key = `check-${randomUUID()}`
    await this.put(key, Buffer.from(key), 'text/plain')
    const stored = await this.get(key)
    stored?.body.resume()
    await this.delete(key)
    if (stored === undefined) throw storeUnavailable(new Error('it lost what was written to it'))
  }

  #pathOf(key: string): string {
    return join(this.#objects, createHash('sha256').update(key).digest('hex'))
  }

  /** Once a process; again where it failed. */
  #prepare(): Promise<void> {
    this.#prepared ??= this.#makeDirectories().catch((error: unknown) => {
      this.#prepared = undefined
      throw error
    })
    return this.#prepared
  }

  async #makeDirectories(): Promise<void> {
    await mkdir(this.#incoming, { recursive: true, mode: 0o700 })
    await syncDirectory(dirname(this.#objects))
    // What a process that was killed inside a put has left.
    for (const name of await readdir(this.#incoming)) {
      const path = join(this.#incoming, name)
      const modified = await stat(path).then(
        (found) => found.mtimeMs,
        () => Number.POSITIVE_INFINITY,
      )
      if (modified < Date.now() - ABANDONED_AFTER_MS) await rm(path, { force: true })
    }
  }
}

async function writeDurably(path: string, parts: Buffer[]): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    for (const part of parts) await file.writeFile(part)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** So that a rename within it survives a power cut (fsync(2)). Windows has no such call on directories. */
async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const directory = await open(path, constants.O_RDONLY)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ELOOP') return undefined
    throw error
  }
}

async function readObject(
  file: FileHandle,
  part: Part = { start: 0, end: Number.POSITIVE_INFINITY },
): Promise<StoredObject> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_HEADER_BYTES), 0, MAX_HEADER_BYTES, 0)
  const headerLength = buffer.subarray(0, bytesRead).indexOf('\n') + 1
  if (headerLength === 0) throw new Error('The object has no header')
  const header: Header = JSON.parse(buffer.toString('utf8', 0, headerLength))
  const { size } = await file.stat()
  return {
    body: file.createReadStream({ start: headerLength + part.start, end: headerLength + part.end }),
    contentType: header.contentType,
    size: size - headerLength,
    etag: header.etag,
  }
}

async function storing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw storeUnavailable(error)
  }
}
