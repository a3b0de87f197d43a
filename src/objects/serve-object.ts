/** `GET /objects/{key}`: a stored picture for a browser. */

import type { Context } from 'koa'
import { matchesEntityTag } from '../http/conditional.ts'
import { notFound } from '../shared/app-error.ts'
import type { ObjectStore } from './object-store.ts'

/**
 * Answers 200 with the object, 304 where the client has it, for HEAD the same without a body.
 *
 * @param key as the path names it, decoded
 * @throws AppError CONTENT_NOT_FOUND
 */
export async function serveObject(ctx: Context, objects: ObjectStore, key: string): Promise<void> {
  const object = await objects.get(key)
  if (object === undefined) throw notFound('Picture not found.')
  ctx.set({
    ETag: object.etag,
    // A new picture gets a new key: what a key names never changes.
    'Cache-Control': 'public, max-age=31536000, immutable',
    'X-Content-Type-Options': 'nosniff',
    // Pictures are shown on the pages of the SaaS, whose origin is another one.
    'Cross-Origin-Resource-Policy': 'cross-origin',
    'Content-Security-Policy': "default-src 'none'; sandbox",
  })
  if (matchesEntityTag(ctx.get('If-None-Match') || undefined, object.etag)) {
    discard(object.body)
    ctx.status = 304
    return
  }
  ctx.status = 200
  if (ctx.method === 'HEAD') discard(object.body)
  else ctx.body = object.body
  ctx.type = object.contentType
  ctx.length = object.size
}

/** A body that is not read would keep its file or connection open. */
function discard(body: NodeJS.ReadableStream): void {
  if ('destroy' in body && typeof body.destroy === 'function') body.destroy()
  else body.resume()
}
