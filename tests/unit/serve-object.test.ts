/** `GET /objects/{key}` in a real Koa application, and the names that clients are given. */

import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Koa from 'koa'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDirectoryObjectStore } from '../../src/objects/object-store-directory.ts'
import { createObjectUrls } from '../../src/objects/object-urls.ts'
import { serveObject } from '../../src/objects/serve-object.ts'
import { AppError } from '../../src/shared/app-error.ts'

let server: Server
let directory: string
let origin: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ism-serve-'))
  const objects = createDirectoryObjectStore(directory)
  await objects.put('rooms/a', Buffer.from('jpeg bytes'), 'image/jpeg')
  const app = new Koa()
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

const request = (path: string, init: { method?: string; headers?: Record<string, string> } = {}) =>
  fetch(`${origin}/objects/${path}`, init)

describe('GET /objects/{key}', () => {
  it('answers the picture, to be kept for ever, on pages of any origin', async () => {
    const response = await request('rooms/a')
    expect(response.status).toBe(200)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'image/jpeg',
      'content-length': '10',
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
