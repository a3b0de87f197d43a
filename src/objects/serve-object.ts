/** `GET /objects/{key}`: a stored picture for a browser. */

import type { Context } from 'koa'
import { byteRange, rangeApplies } from '../http/byte-range.ts'
import { matchesEntityTag } from '../http/conditional.ts'
import { notFound } from '../shared/app-error.ts'
import type { ObjectInfo, ObjectStore, Part, StoredObject } from './object-store.ts'

/**
 * Answers 200 with the object, 206 with a part of it, 304 where the client has it, 416 where it has no such part, for
 * HEAD 200 without a body. Only what is not simply for everything asks the store twice.
 *
 * @param key as the path names it, decoded
 * @throws AppError CONTENT_NOT_FOUND
 */
export async function serveObject(
  ctx: Context,
  objects: Pick<ObjectStore, 'get' | 'head'>,
  key: string,
): Promise<void> {
  const [ifNoneMatch, range] = [ctx.get('If-None-Match'), ctx.get('Range')]
  if (ctx.method !== 'HEAD' && !ifNoneMatch && !range) return send(ctx, found(await objects.get(key)))

  const info = found(await objects.head(key))
  if (matchesEntityTag(ifNoneMatch || undefined, info.etag)) {
    describe(ctx, info)
    ctx.status = 304
    return
  }
  if (ctx.method === 'HEAD') return describe(ctx, info)
  const part = rangeApplies(ctx.get('If-Range'), info.etag) ? byteRange(range, info.size) : undefined
  if (part !== 'unsatisfiable') return send(ctx, found(await objects.get(key, part)), part)
  ctx.status = 416
  ctx.set({ 'Content-Range': `bytes */${info.size}`, 'Cache-Control': 'no-store' })
}

function found<T>(object: T | undefined): T {
  if (object === undefined) throw notFound('Picture not found.')
  return object
}

function send(ctx: Context, object: StoredObject, part?: Part): void {
  describe(ctx, object)
  ctx.body = object.body
  if (part === undefined) return
  ctx.status = 206
  ctx.set('Content-Range', `bytes ${part.start}-${part.end}/${object.size}`)
  ctx.length = part.end - part.start + 1
}

function describe(ctx: Context, { contentType, size, etag }: ObjectInfo): void {
  ctx.status = 200
  ctx.type = contentType
  ctx.length = size
  ctx.set({
    ETag: etag,
    'Accept-Ranges': 'bytes',
    // A new picture gets a new key: what a key names never changes.
    'Cache-Control': 'public, max-age=31536000, immutable',
    'X-Content-Type-Options': 'nosniff',
    // Pictures are shown on the pages of the SaaS, whose origin is another one.
    'Cross-Origin-Resource-Policy': 'cross-origin',
    'Content-Security-Policy': "default-src 'none'; sandbox",
  })
}
