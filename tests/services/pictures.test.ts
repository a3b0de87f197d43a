/** Pictures of rooms where ISM keeps them in S3, and those that ISM 0.7.9 left there. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { describeRoomImages } from '../api/room-images.suite.ts'
import { createBucket, nameBucket, type TestBucket } from '../support/bucket.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Person } from '../support/person.ts'
import { picture, pictureForm } from '../support/pictures.ts'
import { S3_VARIABLES } from '../support/service-variables.ts'
import { describeWith } from '../support/services.ts'

describeWith(S3_VARIABLES, 'S3', (address) => {
  describeRoomImages('S3', async () => {
    const bucket = nameBucket(address)
    return { objects: { ...bucket.config, createBucket: true }, drop: () => bucket.drop() }
  })

  describe('a picture that ISM 0.7.9 left, under the room’s id', () => {
    let ism: TestIsm
    let bucket: TestBucket
    let alice: Person
    let bob: Person
    let roomId: string
    let left: Buffer

    beforeAll(async () => {
      bucket = await createBucket(address)
      ism = await startIsm({ objects: bucket.config })
      ;[alice, bob] = await ism.people('alice', 'bob')
      left = await picture(300, 200)
    })
    afterAll(async () => {
      await ism.stop()
      await bucket.drop()
    })
    beforeEach(async () => {
      roomId = await alice.createRoom([bob], 'Cooks')
      await bucket.put(roomId, left)
      const name = `${bucket.config.bucket}/${roomId}`
      await ism.sql.query('update chat_room set room_image_url = $2 where id = $1', [roomId, name])
    })

    test('is shown under its old name and served', async () => {
      expect((await alice.get(`/api/rooms/${roomId}`)).body.roomImageUrl).toBe(`${bucket.config.bucket}/${roomId}`)
      const response = await fetch(`${ism.url}/objects/${roomId}`)
      expect(response.headers.get('content-type')).toBe('image/jpeg')
      expect(Buffer.from(await response.arrayBuffer())).toEqual(left)
    })

    test('is served in part', async () => {
      const response = await fetch(`${ism.url}/objects/${roomId}`, { headers: { range: 'bytes=2-9' } })
      expect([response.status, response.headers.get('content-range')]).toEqual([206, `bytes 2-9/${left.length}`])
      expect(Buffer.from(await response.arrayBuffer())).toEqual(left.subarray(2, 10))
    })

    test('goes away when another takes its place', async () => {
      const { body } = await alice.raw('POST', `/api/rooms/${roomId}/upload-img`, pictureForm(left))
      const keys = await bucket.keys()
      expect(keys).toContain(body.imageUrl.slice(`${bucket.config.bucket}/`.length))
      expect(keys).not.toContain(roomId)
    })

    test('goes away with its room', async () => {
      await bob.post(`/api/rooms/${roomId}/leave`)
      expect((await alice.post(`/api/rooms/${roomId}/leave`)).status).toBe(200)
      expect(await bucket.keys()).not.toContain(roomId)
    })
  })
})
