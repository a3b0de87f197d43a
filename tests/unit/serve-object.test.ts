/** `GET /objects/{key}` in a real Koa application, and the names that clients are given. */

import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import Koa from 'koa'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import type { ObjectStore } from '../../src/objects/object-store.ts'
import { createDirectoryObjectStore } from '../../src/objects/object-store-directory.ts'
import { createObjectUrls } from '../../src/objects/object-urls.ts'
import { serveObject } from '../../src/objects/serve-object.ts'
import { AppError } from '../../src/shared/app-error.ts'

let server: Server
let directory: string
let origin: string
let objects: Pick<ObjectStore, 'get' | 'head'>

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ism-serve-'))
  const store = createDirectoryObjectStore(directory)
  await store.put('rooms/a', Buffer.from('jpeg bytes'), 'image/jpeg')
  await store.put('empty', Buffer.alloc(0), 'image/jpeg')
  objects = { get: (key, part) => store.get(key, part), head: (key) => store.head(key) }
  const app = new Koa()
  app.silent = true
  app.use((ctx) =>
    serveObject(ctx, objects, decodeURIComponent(ctx.path.slice('/objects/'.length))).catch((error: unknown) => {
      if (!(error instanceof AppError)) throw error
      ctx.status = error.status
    }),
  )
  server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await rm(directory, { recursive: true })
})

afterEach(() => vi.restoreAllMocks())

const request = (path: string, init: { method?: string; headers?: Record<string, string> } = {}) =>
  fetch(`${origin}/objects/${path}`, init)

describe('GET /objects/{key}', () => {
  it('answers the picture, to be kept for ever, on pages of any origin', async () => {
    const response = await request('rooms/a')
    expect(response.status).toBe(200)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'image/jpeg',
      'content-length': '10',
      'accept-ranges': 'bytes',
      'cache-control': 'public, max-age=31536000, immutable',
      'cross-origin-resource-policy': 'cross-origin',
      'x-content-type-options': 'nosniff',
      etag: expect.stringMatching(/^".+"$/),
    })
    expect(await response.text()).toBe('jpeg bytes')
  })

  it('answers 304 to who has it', async () => {
    const etag = (await request('rooms/a')).headers.get('etag') ?? ''
    for (const tag of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const response = await request('rooms/a', { headers: { 'if-none-match': tag } })
      expect(response.status).toBe(304)
      expect(response.headers.get('etag')).toBe(etag)
      expect(response.headers.get('cache-control')).toMatch(/immutable/)
    }
    expect((await request('rooms/a', { headers: { 'if-none-match': '"x"' } })).status).toBe(200)
  })

  it('answers HEAD with the same header', async () => {
    const response = await request('rooms/a', { method: 'HEAD' })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-length')).toBe('10')
    expect(response.headers.get('content-type')).toBe('image/jpeg')
    expect(await response.text()).toBe('')
  })

  it.each(['nothing', 'rooms', '', '..%2f..%2fetc%2fpasswd', '%00', 'incoming'])('answers 404 to %j', async (path) =>
    expect((await request(path)).status).toBe(404),
  )
})

describe('a Range', () => {
  const part = async (range: string, headers: Record<string, string> = {}) => {
    const response = await request('rooms/a', { headers: { range, ...headers } })
    return { status: response.status, range: response.headers.get('content-range'), body: await response.text() }
  }
  const WHOLE = { status: 200, range: null, body: 'jpeg bytes' }

  it('is answered with that part alone', async () => {
    const response = await request('rooms/a', { headers: { range: 'bytes=5-7' } })
    expect(response.status).toBe(206)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'image/jpeg',
      'content-length': '3',
      'content-range': 'bytes 5-7/10',
      'accept-ranges': 'bytes',
      'cache-control': 'public, max-age=31536000, immutable',
      etag: expect.stringMatching(/^".+"$/),
    })
    expect(await response.text()).toBe('byt')
  })

  it('that reaches past the end is cut to it', async () => {
    expect(await part('bytes=8-')).toEqual({ status: 206, range: 'bytes 8-9/10', body: 'es' })
    expect(await part('bytes=8-99')).toEqual({ status: 206, range: 'bytes 8-9/10', body: 'es' })
    expect(await part('bytes=-3')).toEqual({ status: 206, range: 'bytes 7-9/10', body: 'tes' })
  })

  it.each([
    ['rooms/a', 'bytes=10-', 'bytes */10'],
    ['rooms/a', 'bytes=-0', 'bytes */10'],
    ['empty', 'bytes=0-', 'bytes */0'],
  ])('of %s that has nothing in it, %s, is 416, not to be cached', async (path, range, told) => {
    const response = await request(path, { headers: { range } })
    expect(response.status).toBe(416)
    expect(response.headers.get('content-range')).toBe(told)
    expect(response.headers.get('cache-control')).toBe('no-store')
    await response.text()
  })

  it('is ignored where it is several, in another unit or none', async () => {
    for (const range of ['bytes=0-1,4-5', 'lines=0-1', 'bytes=x']) expect(await part(range)).toEqual(WHOLE)
    expect((await request('rooms/a', { method: 'HEAD', headers: { range: 'bytes=0-1' } })).status).toBe(200)
  })

  it('holds for what If-Range names, and is ignored for anything else', async () => {
    const etag = (await request('rooms/a')).headers.get('etag') ?? ''
    expect(await part('bytes=0-3', { 'if-range': etag })).toMatchObject({ status: 206, body: 'jpeg' })
    for (const other of ['"other"', `W/${etag}`, 'Mon, 23 Nov 2026 20:00:00 GMT'])
      expect(await part('bytes=0-3', { 'if-range': other })).toEqual(WHOLE)
  })

  it('comes after If-None-Match', async () => {
    const etag = (await request('rooms/a')).headers.get('etag') ?? ''
    expect(await part('bytes=0-3', { 'if-none-match': etag })).toMatchObject({ status: 304, body: '' })
    expect(await part('bytes=0-3', { 'if-none-match': '"x"' })).toMatchObject({ status: 206 })
  })
})

describe('the store', () => {
  it('is asked once for a picture, and never for bytes that nobody gets', async () => {
    const [get, head] = [vi.spyOn(objects, 'get'), vi.spyOn(objects, 'head')]
    const asked = () => [head.mock.calls.length, get.mock.calls.length]
    await (await request('rooms/a')).text()
    expect(asked()).toEqual([0, 1])
    await request('rooms/a', { method: 'HEAD' })
    await request('rooms/a', { headers: { 'if-none-match': '*' } })
    await (await request('rooms/a', { headers: { range: 'bytes=99-' } })).text()
    expect(asked()).toEqual([3, 1])
    await (await request('rooms/a', { headers: { range: 'bytes=1-2' } })).text()
    expect(asked()).toEqual([4, 2])
  })

  it('that breaks off in the middle cuts the answer off, and ISM goes on', async () => {
    async function* chunks() {
      yield Buffer.from('jpeg')
      throw new Error('the connection to the store is gone')
    }
    const info = { contentType: 'image/jpeg', size: 10, etag: '"e"' }
    vi.spyOn(objects, 'get').mockResolvedValueOnce({ ...info, body: Readable.from(chunks()) })
    const response = request('rooms/a').then((answer) => answer.text())
    await expect(response).rejects.toThrow(/terminated|fetch failed/)
    expect((await request('rooms/a')).status).toBe(200)
  })

  it('has its body destroyed when the client goes away', async () => {
    const body = new Readable({ read() {} })
    body.push('jpeg')
    vi.spyOn(objects, 'get').mockResolvedValueOnce({ contentType: 'image/jpeg', size: 10, etag: '"e"', body })
    const leaving = new AbortController()
    const response = await fetch(`${origin}/objects/rooms/a`, { signal: leaving.signal })
    expect(response.status).toBe(200)
    const closed = new Promise((resolve) => body.once('close', resolve))
    leaving.abort()
    await closed
  })
})

describe('createObjectUrls', () => {
  it('names a picture by its bucket', () => {
    const urls = createObjectUrls({ bucket: 'ism', publicUrl: undefined })
    expect(urls.url('rooms/a')).toBe('ism/rooms/a')
    expect(urls.name('rooms/a')).toBe('ism/rooms/a.jpeg')
  })

  it('names it by its public URL where there is one', () => {
    const urls = createObjectUrls({ bucket: 'ism', publicUrl: 'https://cdn.example/pics' })
    expect(urls.url('rooms/a')).toBe('https://cdn.example/pics/rooms/a')
    expect(urls.name('rooms/a')).toBe('ism/rooms/a.jpeg')
  })
})
