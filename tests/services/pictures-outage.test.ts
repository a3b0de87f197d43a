/** The S3 server out of reach while ISM runs, and ISM killed between the two steps of taking a picture away. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { bucketSection, createBucket, nameBucket, type TestBucket } from '../support/bucket.ts'
import { eventually } from '../support/eventually.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { type IsmNode, Service } from '../support/node.ts'
import type { Answer, Person } from '../support/person.ts'
import { picture, pictureForm } from '../support/pictures.ts'
import { expectRefusal } from '../support/refusal.ts'
import { type S3Gateway, startS3Gateway } from '../support/s3-gateway.ts'
import { S3_VARIABLES } from '../support/service-variables.ts'
import { describeWith } from '../support/services.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'
import { endProcesses } from '../support/test-process.ts'

type Sql = TestIsm['sql']

/** As if an hour had passed, and no node were at work on it. */
async function letGarbageAge(sql: Sql): Promise<void> {
  await sql.query("update object_garbage set since = since - interval '2 hours'")
  await sql.query("update projection set lease_until = now() where name = 'maintenance'")
}

const upload = async (person: Person, roomId: string) =>
  person.raw('POST', `/api/rooms/${roomId}/upload-img`, pictureForm(await picture(600, 400)))

async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const started = performance.now()
  return [await work(), performance.now() - started]
}

function expectUnavailable(answer: Answer): void {
  expectRefusal(answer, 'SERVICE_UNAVAILABLE', 'The picture store is not available.')
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
}

describeWith(S3_VARIABLES, 'S3', (address) => {
  describe('out of reach', () => {
    let bucket: TestBucket
    let proxy: TcpProxy
    let ism: TestIsm
    let alice: Person
    let bob: Person

    beforeAll(async () => {
      bucket = await createBucket(address)
      const { hostname, port } = new URL(bucket.config.endpoint)
      proxy = await startTcpProxy({ host: hostname, port: Number(port) })
      ism = await startIsm({ objects: { ...bucket.config, endpoint: `http://127.0.0.1:${proxy.port}` } })
      ;[alice, bob] = await ism.people('alice', 'bob')
    })
    afterEach(() => proxy.pass())
    afterAll(async () => {
      await ism.stop()
      await proxy.close()
      await bucket.drop()
    })

    const load = (url: string) => fetch(`${ism.url}/objects/${url.slice(`${bucket.config.bucket}/`.length)}`)
    const imageOf = async (roomId: string) => (await bob.get(`/api/rooms/${roomId}`)).body.roomImageUrl

    test.each(['refuse', 'hang'] as const)('(%s) nobody waits for it but who wants a picture', async (mode) => {
      const [roomId, last] = [await alice.createRoom([bob], 'Cooks'), await alice.createRoom([bob], 'Gone soon')]
      const before = (await upload(alice, roomId)).body.imageUrl
      const orphan = (await upload(alice, last)).body.imageUrl
      await bob.post(`/api/rooms/${last}/leave`)
      await proxy[mode]()

      const [refused, waited] = await timed(() => {
        const uploading = upload(alice, roomId)
        return Promise.all([uploading, load(before), chat(alice, bob, last)])
      })
      expectUnavailable(refused[0])
      expect(refused[1].status).toBe(503)
      expect(waited).toBeLessThan(12_000)
      expect(await imageOf(roomId)).toBe(before)
      const health = await fetch(`${ism.url}/health/ready`)
      expect(health.status).toBe(200)
      const objects = { name: 'objects', required: false, ok: false }
      expect(await health.json()).toMatchObject({
        ready: true,
        stores: expect.arrayContaining([expect.objectContaining(objects)]),
      })

      await proxy.pass()
      expect((await load(before)).status).toBe(200)
      const after = await upload(alice, roomId)
      expect(after.status).toBe(200)
      expect(await imageOf(roomId)).toBe(after.body.imageUrl)
      expect((await load(after.body.imageUrl)).status).toBe(200)

      // What could not be taken away meanwhile goes in the hour.
      expect((await load(orphan)).status).toBe(200)
      await letGarbageAge(ism.sql)
      const node = await ism.anotherNode()
      const kept = after.body.imageUrl.slice(`${bucket.config.bucket}/`.length)
      await eventually('only the room’s picture', async () => !(await bucket.keys()).some((key) => key !== kept))
      await node.close()
      await alice.post(`/api/rooms/${roomId}/leave`)
      await bob.post(`/api/rooms/${roomId}/leave`)
    })

    /** Each in about the time that it always takes; the last to leave waits a second for the picture to go. */
    async function chat(one: Person, other: Person, last: string): Promise<void> {
      const [roomId, created] = await timed(() => one.createRoom([other], 'Meanwhile'))
      const [sent, sending] = await timed(() => one.send(roomId, 'Hello'))
      const [left, leaving] = await timed(() => one.post(`/api/rooms/${last}/leave`))
      expect([sent.status, left.status]).toEqual([200, 200])
      expect((await one.get(`/api/rooms/${last}`)).status).toBe(404)
      expect(Math.max(created, sending)).toBeLessThan(1_000)
      expect(leaving).toBeLessThan(2_000)
    }
  })

  test('down while ISM starts: it starts, and makes the bucket later', async () => {
    const bucket = nameBucket(address)
    const gateway = await startS3Gateway(bucket.config.endpoint)
    gateway.treat = () => 'hold'
    const ism = await startIsm({ objects: { ...bucket.config, endpoint: gateway.url, createBucket: true } })
    const [alice, bob] = await ism.people('alice', 'bob')
    const roomId = await alice.createRoom([bob], 'Cooks')
    expectUnavailable(await upload(alice, roomId))
    gateway.treat = () => 'pass'
    expect((await upload(alice, roomId)).status).toBe(200)
    expect(await bucket.keys()).toHaveLength(1)
    await ism.stop()
    gateway.close()
    await bucket.drop()
  })

  describe('an object on its way to a browser', () => {
    let bucket: TestBucket
    let gateway: S3Gateway
    let ism: TestIsm

    beforeAll(async () => {
      bucket = await createBucket(address)
      await bucket.put('large', Buffer.alloc(8_000_000, 'x'))
      gateway = await startS3Gateway(bucket.config.endpoint)
      ism = await startIsm({ objects: { ...bucket.config, endpoint: gateway.url } })
    })
    afterAll(async () => {
      await ism.stop()
      gateway.close()
      await bucket.drop()
    })

    const load = async (signal?: AbortSignal) => fetch(`${ism.url}/objects/large`, signal ? { signal } : {})

    test('is given up with its connection when the browser goes away', async () => {
      const leaving = new AbortController()
      const responses = await Promise.all([1, 2, 3].map(() => load(leaving.signal)))
      expect(responses.map(({ status }) => status)).toEqual([200, 200, 200])
      expect(await gateway.connections()).toBe(3)
      leaving.abort()
      await eventually('no connection to the S3 server', async () => (await gateway.connections()) === 0)
    })

    test('that breaks off is cut off for the browser, and ISM goes on', async () => {
      gateway.treat = () => ({ cutAfterBytes: 1_000_000 })
      await expect(load().then((response) => response.arrayBuffer())).rejects.toThrow('terminated')
      gateway.treat = () => 'pass'
      expect((await (await load()).arrayBuffer()).byteLength).toBe(8_000_000)
    })
  })

  describe('ISM killed in between', () => {
    let bucket: TestBucket
    let gateway: S3Gateway
    let service: Service
    let node: IsmNode
    let alice: Person
    let roomId: string

    beforeEach(async () => {
      bucket = await createBucket(address)
      gateway = await startS3Gateway(bucket.config.endpoint)
      const sections = { objects: {}, object_db_config: bucketSection(bucket, gateway.url) }
      service = await Service.create(undefined, { sections })
      node = await service.node()
      const people = (await service.people(2, [node])) as [Person, Person]
      alice = people[0]
      roomId = await alice.createRoom([people[1]], 'Cooks')
    })
    afterEach(async () => {
      await endProcesses()
      await service.close()
      gateway.close()
      await bucket.drop()
    })

    const keyOf = (imageUrl: string) => imageUrl.slice(`${bucket.config.bucket}/`.length)
    async function killAndReturn(): Promise<void> {
      await node.kill('SIGKILL')
      gateway.treat = () => 'pass'
      await letGarbageAge(service.sql)
      await node.restart()
    }

    test('a picture that was stored and that no room got goes away', async () => {
      const { imageUrl } = (await upload(alice, roomId)).body
      gateway.treat = (method) => (method === 'PUT' ? 'mute' : 'pass')
      const lost = upload(alice, roomId).catch(() => {})
      await eventually('the second picture in the bucket', async () => (await bucket.keys()).length === 2)
      await killAndReturn()
      await lost
      await eventually('the first alone', async () => (await bucket.keys()).join() === keyOf(imageUrl))
      expect((await alice.get(`/api/rooms/${roomId}`)).body.roomImageUrl).toBe(imageUrl)
    })

    test('a picture that was replaced and not yet taken away goes away', async () => {
      const first = (await upload(alice, roomId)).body.imageUrl
      gateway.treat = (method) => (method === 'DELETE' ? 'hold' : 'pass')
      const second = (await upload(alice, roomId)).body.imageUrl
      expect((await bucket.keys()).sort()).toEqual([keyOf(first), keyOf(second)].sort())
      await killAndReturn()
      await eventually('the second alone', async () => (await bucket.keys()).join() === keyOf(second))
      await eventually('nothing is left to do', async () => {
        const { rowCount } = await service.sql.query('select from object_garbage')
        return rowCount === 0
      })
    })
  })
})
