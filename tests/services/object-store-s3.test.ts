/** The S3 adapter on a real server: the contract, and what is its own. */
import { buffer } from 'node:stream/consumers'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { S3Config } from '../../src/config/config.ts'
import { createS3ObjectStore } from '../../src/objects/object-store-s3.ts'
import { describeObjectStore } from '../contract/object-store.contract.ts'
import { createBucket, nameBucket, type TestBucket } from '../support/bucket.ts'
import { eventually } from '../support/eventually.ts'
import { type S3Gateway, startS3Gateway } from '../support/s3-gateway.ts'
import { S3_VARIABLES } from '../support/service-variables.ts'
import { describeWith } from '../support/services.ts'

const UNAVAILABLE = { code: 'SERVICE_UNAVAILABLE', message: 'The picture store is not available.', retryAfter: 2 }
const JPEG = Buffer.from('jpeg bytes')

describeWith(S3_VARIABLES, 'S3', (address) => {
  describeObjectStore('S3', async () => {
    const bucket = await createBucket(address)
    return { store: createS3ObjectStore(bucket.config), close: () => bucket.drop() }
  })

  describe('the bucket', () => {
    let bucket: TestBucket

    beforeEach(() => {
      bucket = nameBucket(address)
    })
    afterEach(() => bucket.drop())

    const open = (overrides: Partial<S3Config> = {}) => createS3ObjectStore({ ...bucket.config, ...overrides })
    const read = async (store: ReturnType<typeof open>, key: string) => {
      const object = await store.get(key)
      return object && (await buffer(object.body)).toString()
    }

    it('is made at start where that is wanted, before anything is stored', async () => {
      open({ createBucket: true })
      await eventually('the bucket', () => bucket.exists())
    })

    it('is made once by three at once', async () => {
      const stores = [1, 2, 3].map(() => open({ createBucket: true }))
      await Promise.all(stores.map((store, n) => store.put(`key-${n}`, JPEG, 'image/jpeg')))
      expect(await bucket.keys()).toEqual(['key-0', 'key-1', 'key-2'])
    })

    it('is made again where it vanished', async () => {
      const store = open({ createBucket: true })
      await store.put('key', JPEG, 'image/jpeg')
      await bucket.drop()
      await expect(store.put('key', JPEG, 'image/jpeg')).rejects.toMatchObject(UNAVAILABLE)
      await store.put('key', JPEG, 'image/jpeg')
      expect(await read(store, 'key')).toBe('jpeg bytes')
    })

    it('that is missing and not to be made is 503, not 404', async () => {
      const store = open()
      await expect(store.put('key', JPEG, 'image/jpeg')).rejects.toMatchObject(UNAVAILABLE)
      await expect(store.get('key')).rejects.toMatchObject(UNAVAILABLE)
      await expect(store.check()).rejects.toMatchObject(UNAVAILABLE)
      expect(await bucket.exists()).toBe(false)
    })
  })

  describe('an object', () => {
    let bucket: TestBucket

    beforeEach(async () => {
      bucket = await createBucket(address)
    })
    afterEach(() => bucket.drop())

    it('has its key as its name in the bucket, and nothing around its bytes', async () => {
      await createS3ObjectStore(bucket.config).put('rooms/a.b', JPEG, 'image/jpeg')
      expect(await bucket.keys()).toEqual(['rooms/a.b'])
      expect(await bucket.get('rooms/a.b')).toEqual(JPEG)
    })

    it.each([undefined, 'application/octet-stream', 'binary/octet-stream'])(
      'that ISM 0.7.9 stored as %s is a JPEG',
      async (type) => {
        const roomId = '0190c1c3-71b5-7c11-a6f8-3f6b7d0f5f11'
        await bucket.put(roomId, JPEG, type)
        const store = createS3ObjectStore(bucket.config)
        expect(await store.head(roomId)).toMatchObject({ contentType: 'image/jpeg', size: 10 })
        const object = await store.get(roomId)
        expect(object?.contentType).toBe('image/jpeg')
        expect(object && (await buffer(object.body))).toEqual(JPEG)
      },
    )

    it.each([
      ['secret key', { secretKey: 'SECRET' }],
      ['access key', { accessKey: 'SECRET' }],
    ])('is refused to a wrong %s as if the server were down, in the same words', async (_, wrong) => {
      const store = createS3ObjectStore({ ...bucket.config, ...wrong })
      for (const call of [() => store.put('key', JPEG, 'image/jpeg'), () => store.head('key'), () => store.check()]) {
        const error: unknown = await call().catch((refusal: unknown) => refusal)
        expect(error).toMatchObject(UNAVAILABLE)
        expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/SECRET|Signature=/)
      }
    })
  })

  describe('a server', () => {
    let bucket: TestBucket
    let gateway: S3Gateway
    let store: ReturnType<typeof createS3ObjectStore>

    beforeEach(async () => {
      bucket = await createBucket(address)
      gateway = await startS3Gateway(bucket.config.endpoint)
      store = createS3ObjectStore({ ...bucket.config, endpoint: gateway.url })
    })
    afterEach(async () => {
      gateway.close()
      await bucket.drop()
    })

    it('is asked once for an object, whole or in part, and for what is known about it', async () => {
      await store.put('key', JPEG, 'image/jpeg')
      await store.head('key')
      for (const part of [undefined, { start: 2, end: 5 }]) {
        const object = await store.get('key', part)
        if (object) await buffer(object.body)
      }
      await store.check()
      await store.delete('key')
      const { bucket: name } = bucket.config
      expect(gateway.requests).toEqual([
        `PUT /${name}/key`,
        `HEAD /${name}/key`,
        `GET /${name}/key`,
        `GET /${name}/key`,
        `GET /${name}/ism-check`,
        `DELETE /${name}/key`,
      ])
    })

    it('that does not answer is given up in five seconds, attempts and all', async () => {
      gateway.treat = () => 'hold'
      const started = performance.now()
      const calls = [store.put('key', JPEG, 'image/jpeg'), store.head('key'), store.delete('key')]
      for (const call of await Promise.allSettled(calls)) expect(call).toMatchObject({ reason: UNAVAILABLE })
      expect(performance.now() - started).toBeLessThan(6_500)
    })

    it('whose first answer is lost is asked again', async () => {
      let count = 0
      gateway.treat = () => (count++ === 0 ? 'break' : 'pass')
      await store.put('key', JPEG, 'image/jpeg')
      expect(await bucket.keys()).toEqual(['key'])
      expect(gateway.requests).toHaveLength(2)
    })

    it('that breaks off in the middle breaks the body, and nothing else', async () => {
      await bucket.put('large', Buffer.alloc(5_000_000, 'x'))
      gateway.treat = () => ({ cutAfterBytes: 100_000 })
      const object = await store.get('large')
      expect(object?.size).toBe(5_000_000)
      await expect(object && buffer(object.body)).rejects.toThrow()
      gateway.treat = () => 'pass'
      expect(await store.head('large')).toMatchObject({ size: 5_000_000 })
    })

    it('has its connection back when a body is given up', async () => {
      await bucket.put('large', Buffer.alloc(5_000_000, 'x'))
      const objects = await Promise.all(Array.from({ length: 5 }, () => store.get('large')))
      expect(await gateway.connections()).toBe(5)
      for (const object of objects) object?.body.destroy()
      await eventually('no connection', async () => (await gateway.connections()) === 0)
    })

    it('may come later: what was refused before is done, in a bucket made then', async () => {
      const fresh = nameBucket(address)
      onTestFinished(() => fresh.drop())
      gateway.treat = () => 'break'
      const late = createS3ObjectStore({ ...fresh.config, endpoint: gateway.url, createBucket: true })
      await expect(late.put('key', JPEG, 'image/jpeg')).rejects.toMatchObject(UNAVAILABLE)
      gateway.treat = () => 'pass'
      await late.put('key', JPEG, 'image/jpeg')
      expect(await fresh.keys()).toEqual(['key'])
    })
  })
})
