/** A room's picture: made from the upload, stored under a new key, and the one before it taken away. */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Queryable } from '../infra/postgres.ts'
import type { LogTransactions } from '../log/transaction.ts'
import type { ObjectStore } from '../objects/object-store.ts'
import type { ObjectUrls } from '../objects/object-urls.ts'
import type { CurrentUser } from '../users/user.ts'
import { requireMember } from './room-service.ts'
import { addGarbage } from './room-writes.ts'

/** Leaving and uploading wait no longer for what is only tidying up. */
const DISCARD_MS = 1_000

export type Upload = { imageUrl: string; imageName: string }

export class RoomImages {
  readonly #db: Queryable
  readonly #transactions: LogTransactions
  readonly #objects: ObjectStore
  readonly #urls: ObjectUrls

  constructor(db: Queryable, transactions: LogTransactions, objects: ObjectStore, urls: ObjectUrls) {
    this.#db = db
    this.#transactions = transactions
    this.#objects = objects
    this.#urls = urls
  }

  /** Whether `user` may change the picture; asked before the upload is read. @throws as `requireMember` */
  async authorise(user: CurrentUser, roomId: string): Promise<void> {
    await requireMember(this.#db, roomId, user)
  }

  /**
   * @throws AppError as `requireMember`; FILE_PROCESSING_ERROR the bytes are no picture; SERVICE_UNAVAILABLE the
   * object store is down
   */
  async upload(user: CurrentUser, roomId: string, image: Buffer): Promise<Upload> {
    // Loaded for the first upload: no start waits for it.
    const { toPicture } = await import('../objects/picture.ts')
    const picture = await toPicture(image)
    const key = randomUUID()
    // Garbage until a room refers to it: what a crash leaves behind is swept.
    await addGarbage(this.#db, key)
    await this.#objects.put(key, picture, 'image/jpeg')
    const replaced = await this.#transactions.run(async (transaction) => {
      const { image: stored } = await requireMember(transaction, roomId, user)
      const old = stored === null ? null : this.#urls.keyOf(stored)
      await saveImage(transaction, roomId, key, old)
      return old
    })
    if (replaced !== null) await this.discard(replaced)
    return { imageUrl: this.#urls.url(key), imageName: this.#urls.name(key) }
  }

  /** Takes away a picture that no room refers to any more; where that fails, the sweeper tries again. */
  async discard(key: string): Promise<void> {
    const removed = this.#remove(key).catch(() => {})
    await Promise.race([removed, delay(DISCARD_MS, undefined, { ref: false })])
  }

  /** Takes away pictures that no room has referred to for `minutes`. @returns how many */
  async sweep(minutes: number): Promise<number> {
    const keys = await listGarbage(this.#db, minutes)
    for (const key of keys) {
      try {
        await this.#remove(key)
      } catch (error) {
        // Behind the others: one that cannot be deleted must not keep them.
        await postponeGarbage(this.#db, key)
        throw error
      }
    }
    return keys.length
  }

  async #remove(key: string): Promise<void> {
    await this.#objects.delete(key)
    await this.#db.query('images.forget-garbage', 'delete from object_garbage where key = $1', [key])
  }
}

/** The room refers to `key` now; `old`, if there was one, is garbage. */
async function saveImage(db: Queryable, roomId: string, key: string, old: string | null): Promise<void> {
  await db.query(
    'images.save',
    `with kept as (delete from object_garbage where key = $2),
      dropped as (insert into object_garbage (key) select $3::text where $3::text is not null on conflict do nothing)
    update chat_room set room_image_url = $2 where id = $1`,
    [roomId, key, old],
  )
}

async function postponeGarbage(db: Queryable, key: string): Promise<void> {
  await db.query('images.postpone-garbage', 'update object_garbage set since = now() where key = $1', [key])
}

async function listGarbage(db: Queryable, minutes: number): Promise<string[]> {
  const rows = await db.query<{ key: string }>(
    'images.garbage',
    `select key from object_garbage where since < now() - make_interval(mins => $1) order by since limit 1000`,
    [minutes],
  )
  return rows.map(({ key }) => key)
}
