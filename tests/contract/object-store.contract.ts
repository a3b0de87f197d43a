/** What every adapter of the object store must do. */

import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ObjectStore } from '../../src/objects/object-store.ts'

export type ObjectStoreUnderTest = { store: ObjectStore; close(): Promise<void> }

/** `create` makes an empty store before each test. */
export function describeObjectStore(name: string, create: () => Promise<ObjectStoreUnderTest>): void {
  describe(`object store: ${name}`, () => {
    let underTest: ObjectStoreUnderTest
    let store: ObjectStore

    beforeEach(async () => {
      underTest = await create()
      store = underTest.store
    })
    afterEach(() => underTest.close())

    const read = async (key: string) => {
      const object = await store.get(key)
      return object && { ...object, body: await buffer(object.body) }
    }

    describe('an object', () => {
      it('is read as it was put', async () => {
        const body = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7) % 256))
        await store.put('rooms/a1.B_c-d', body, 'image/jpeg')
        const object = await read('rooms/a1.B_c-d')
        expect(object).toMatchObject({ contentType: 'image/jpeg', size: 300_000 })
        expect(object?.body.equals(body)).toBe(true)
      })

      it('may be empty, or full of line ends', async () => {
        await store.put('empty', Buffer.alloc(0), 'text/plain')
        await store.put('lines', Buffer.from('\n{}\n\0'), 'text/plain; charset=utf-8')
        expect(await read('empty')).toMatchObject({ size: 0, body: Buffer.alloc(0) })
        const lines = await read('lines')
        expect(lines?.body).toEqual(Buffer.from('\n{}\n\0'))
        // Some servers write a media type anew; the space means nothing (RFC 9110, section 5.6.6).
        expect(lines?.contentType).toMatch(/^text\/plain; ?charset=utf-8$/)
      })

      it('is undefined where nothing was put', async () => {
        expect(await store.get('nothing')).toBeUndefined()
        await store.put('something', Buffer.from('x'), 'text/plain')
        expect(await store.get('some')).toBeUndefined()
      })

      it('is replaced as a whole, also while it is read', async () => {
        await store.put('key', Buffer.from('the first body'), 'text/plain')
        const before = await store.get('key')
        await store.put('key', Buffer.from('second'), 'image/png')
        expect(await read('key')).toMatchObject({ contentType: 'image/png', size: 6, body: Buffer.from('second') })
        expect(before && (await buffer(before.body)).toString()).toBe('the first body')
      })

      it('is whole after puts at the same time', async () => {
        const bodies = Array.from({ length: 8 }, (_, i) => Buffer.alloc(50_000 + i, 65 + i))
        await Promise.all(bodies.map((body) => store.put('key', body, 'text/plain')))
        const object = await read('key')
        expect(bodies.some((body) => object?.body.equals(body) && object.size === body.length)).toBe(true)
      })
    })

    describe('a part', () => {
      const part = async (start: number, end: number) => {
        const object = await store.get('key', { start, end })
        return object && { ...object, body: (await buffer(object.body)).toString() }
      }

      it('has both its ends, and tells of the whole object', async () => {
        await store.put('key', Buffer.from('0123456789'), 'image/jpeg')
        const { body: _, ...whole } = (await read('key')) ?? {}
        expect(await part(0, 0)).toEqual({ ...whole, size: 10, body: '0' })
        expect(await part(3, 6)).toEqual({ ...whole, size: 10, body: '3456' })
        expect(await part(9, 9)).toEqual({ ...whole, size: 10, body: '9' })
        expect(await part(0, 9)).toEqual({ ...whole, size: 10, body: '0123456789' })
      })

      it('of nothing is undefined', async () => expect(await part(0, 0)).toBeUndefined())
    })

    describe('head', () => {
      it('tells what get does, without the body', async () => {
        await store.put('key', Buffer.from('0123456789'), 'image/jpeg')
        const { body: _, ...told } = (await read('key')) ?? {}
        expect(await store.head('key')).toEqual(told)
        await store.put('empty', Buffer.alloc(0), 'image/jpeg')
        expect(await store.head('empty')).toMatchObject({ size: 0 })
      })

      it('of nothing is undefined', async () => {
        expect(await store.head('key')).toBeUndefined()
        expect(await store.head('../key')).toBeUndefined()
      })
    })

    describe('an entity tag', () => {
      it('is strong, the same at each read, and another for another body', async () => {
        await store.put('key', Buffer.from('a'), 'text/plain')
        const first = (await read('key'))?.etag
        expect(first).toMatch(/^"[\x21\x23-\x7e]+"$/)
        expect((await read('key'))?.etag).toBe(first)
        await store.put('key', Buffer.from('b'), 'text/plain')
        expect((await read('key'))?.etag).not.toBe(first)
      })
    })

    describe('keys', () => {
      it('that resemble each other name different objects', async () => {
        const keys = [
          'a',
          'A',
          'b/a',
          'b/A',
          'a.b',
          'a-b',
          'b/a.b',
          'b.a',
          `${'k'.repeat(199)}1`,
          `${'k'.repeat(199)}2`,
        ]
        for (const key of keys) await store.put(key, Buffer.from(key), 'text/plain')
        for (const key of keys) expect((await read(key))?.body.toString()).toBe(key)
      })

      const BAD = [
        '',
        '/',
        '/a',
        'a/',
        'a//b',
        '..',
        '../a',
        'a/../b',
        'a/..',
        '.',
        './a',
        'a\\b',
        'a b',
        'ä',
        'a\0',
        'a%2Fb',
      ]
      it.each([...BAD, 'k'.repeat(201), 'a\n'])('%j is none', async (key) => {
        await expect(store.put(key, Buffer.from('x'), 'text/plain')).rejects.toThrow(RangeError)
        expect(await store.get(key)).toBeUndefined()
        await store.delete(key)
      })
    })

    describe('delete', () => {
      it('takes the object away, and that alone', async () => {
        await store.put('a', Buffer.from('x'), 'text/plain')
        await store.put('ab', Buffer.from('y'), 'text/plain')
        await store.put('b/a', Buffer.from('z'), 'text/plain')
        await store.delete('a')
        expect(await store.get('a')).toBeUndefined()
        expect((await read('ab'))?.body.toString()).toBe('y')
        expect((await read('b/a'))?.body.toString()).toBe('z')
      })

      it('of what is not there is no error', async () => {
        await store.delete('nothing')
        await store.put('a', Buffer.from('x'), 'text/plain')
        await store.delete('a')
        await store.delete('a')
      })
    })

    it('check passes and leaves nothing behind', async () => {
      await store.check()
      await store.put('a', Buffer.from('x'), 'text/plain')
      await store.check()
      expect((await read('a'))?.body.toString()).toBe('x')
    })
  })
}
