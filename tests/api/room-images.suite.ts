/**
 * Pictures of rooms on any object store: upload, how they are named and served, what replaces and removes them, and what
 * is refused.
 */
import { randomUUID } from 'node:crypto'
import { request } from 'node:http'
import sharp from 'sharp'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { App } from '../../src/app.ts'
import type { ObjectsConfig } from '../../src/config/config.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Person } from '../support/person.ts'
import { picture, pictureForm } from '../support/pictures.ts'
import { expectRefusal } from '../support/refusal.ts'

const MAX_BYTES = 5 * 1024 * 1024
const UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'
const PUBLIC_URL = 'https://cdn.example/pictures'

export type StoreOfPictures = { objects: Partial<ObjectsConfig>; drop(): Promise<void> }

/** `create` makes the store that ISM is started with. */
export function describeRoomImages(name: string, create: () => Promise<StoreOfPictures>): void {
  describe(`pictures of rooms in ${name}`, () => {
    let ism: TestIsm
    /** A node whose pictures a browser can load by their URL. */
    let browsable: App
    let alice: Person
    let bob: Person
    let outsider: Person
    let roomId: string
    let bucket: string
    let dropStore: () => Promise<void>
    let landscape: Buffer

    beforeAll(async () => {
      const { objects, drop } = await create()
      dropStore = drop
      ism = await startIsm({ objects })
      bucket = ism.config.objects.bucket
      browsable = await ism.anotherNode({ objects: { publicUrl: PUBLIC_URL } })
      landscape = await picture(600, 400)
    })
    afterAll(async () => {
      await browsable.close()
      await ism.stop()
      await dropStore()
    })
    beforeEach(async () => {
      const round = Math.random().toString(36).slice(2)
      ;[alice, bob, outsider] = await ism.people(`alice ${round}`, `bob ${round}`, `outsider ${round}`)
      roomId = await alice.createRoom([bob], 'Cooks')
    })

    const upload = (person: Person, body: FormData, room = roomId) =>
      person.raw('POST', `/api/rooms/${room}/upload-img`, body)
    const imageOf = async (person: Person, room = roomId) => (await person.get(`/api/rooms/${room}`)).body.roomImageUrl
    /** The stored object, which needs no token. */
    const load = (key: string, headers: Record<string, string> = {}, method = 'GET') =>
      fetch(`${ism.url}/objects/${key}`, { method, headers })

    async function uploaded(person = alice, file = landscape): Promise<string> {
      const { status, body } = await upload(person, pictureForm(file))
      expect(status).toBe(200)
      return body.imageUrl.slice(`${bucket}/`.length)
    }

    describe('an upload', () => {
      test('answers the names of the new picture, which every member sees', async () => {
        const { status, body } = await upload(alice, pictureForm(landscape))
        expect(status).toBe(200)
        const key = new RegExp(`^${bucket}/(${UUID})$`).exec(body.imageUrl)?.[1]
        expect(body).toEqual({ imageUrl: `${bucket}/${key}`, imageName: `${bucket}/${key}.jpeg` })
        expect(key).not.toBe(roomId)
        for (const person of [alice, bob]) {
          expect(await imageOf(person)).toBe(body.imageUrl)
          expect((await person.get('/api/rooms')).body[0].roomImageUrl).toBe(body.imageUrl)
          expect((await person.get(`/api/rooms/${roomId}/detailed`)).body.roomImageUrl).toBe(body.imageUrl)
        }
        await alice.post(`/api/rooms/${roomId}/invite/${outsider.id}`)
        const [newRoom] = (await outsider.get('/api/notifications?timestamp=1970-01-02T00:00:00Z')).body
        expect(newRoom.room.roomImageUrl).toBe(body.imageUrl)
      })

      test.each([
        [600, 400, 500, 400],
        [400, 600, 400, 500],
        [1200, 900, 500, 500],
        [500, 500, 500, 500],
        [20, 10, 20, 10],
      ])('of %i × %i is kept as a JPEG of %i × %i', async (width, height, keptWidth, keptHeight) => {
        const stored = await load(await uploaded(alice, await picture(width, height)))
        expect(stored.headers.get('content-type')).toBe('image/jpeg')
        const { format, ...kept } = await sharp(Buffer.from(await stored.arrayBuffer())).metadata()
        expect([format, kept.width, kept.height]).toEqual(['jpeg', keptWidth, keptHeight])
      })

      test('of another format is made a JPEG, whatever it is called', async () => {
        for (const format of ['png', 'webp', 'gif'] as const) {
          const stored = await load(await uploaded(alice, await sharp(landscape).toFormat(format).toBuffer()))
          expect((await sharp(Buffer.from(await stored.arrayBuffer())).metadata()).format).toBe('jpeg')
        }
      })

      test('gets a new key each time, and the picture before it is gone', async () => {
        const first = await uploaded()
        expect((await load(first)).status).toBe(200)
        const second = await uploaded(bob)
        expect(second).not.toBe(first)
        expect((await load(first)).status).toBe(404)
        expect((await load(second)).status).toBe(200)
        expect(await imageOf(alice)).toBe(`${bucket}/${second}`)
      })

      test('at once with another leaves one picture, the room’s', async () => {
        const keys = await Promise.all([uploaded(alice), uploaded(bob), uploaded(alice)])
        const found = await Promise.all(
          keys.map(async (key) => ((await load(key)).status === 200 ? [`${bucket}/${key}`] : [])),
        )
        expect(found.flat()).toEqual([await imageOf(alice)])
      })

      test('to a Single room leaves it with the other person’s picture', async () => {
        const single = await alice.createRoom([bob])
        expect((await upload(alice, pictureForm(landscape), single)).status).toBe(200)
        expect(await imageOf(alice, single)).toBeNull()
      })

      test('takes the room in upper case, and further fields', async () => {
        const data = pictureForm(landscape)
        data.append('caption', 'Us')
        expect((await upload(alice, data, roomId.toUpperCase())).status).toBe(200)
      })

      test('of exactly 5 MiB is taken', async () => {
        expect((await upload(alice, pictureForm(Buffer.concat([landscape], MAX_BYTES)))).status).toBe(200)
      })
    })

    describe('with a public URL', () => {
      const at = (person: Person) => person.at(`http://127.0.0.1:${browsable.address.port}`)

      test('a picture is named by what a browser can load', async () => {
        const { body } = await upload(at(alice), pictureForm(landscape))
        const key = new RegExp(`^${PUBLIC_URL}/(${UUID})$`).exec(body.imageUrl)?.[1]
        expect(body).toEqual({ imageUrl: `${PUBLIC_URL}/${key}`, imageName: `${bucket}/${key}.jpeg` })
        expect(await imageOf(at(bob))).toBe(body.imageUrl)
        expect(await imageOf(bob)).toBe(`${bucket}/${key}`)
      })

      test('a name that ISM 0.7.9 stored is shown so as well', async () => {
        await ism.sql.query('update chat_room set room_image_url = $2 where id = $1', [roomId, `${bucket}/${roomId}`])
        expect(await imageOf(at(bob))).toBe(`${PUBLIC_URL}/${roomId}`)
        expect(await imageOf(bob)).toBe(`${bucket}/${roomId}`)
      })
    })

    describe('GET /objects/{key}', () => {
      test('serves a picture that never changes', async () => {
        const key = await uploaded()
        const response = await load(key)
        expect(response.status).toBe(200)
        expect(response.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
        expect(response.headers.get('x-content-type-options')).toBe('nosniff')
        const etag = response.headers.get('etag') ?? ''
        expect(etag).toMatch(/^"[\w-]+"$/)
        const bytes = await response.arrayBuffer()
        expect(Number(response.headers.get('content-length'))).toBe(bytes.byteLength)

        for (const tags of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
          const unchanged = await load(key, { 'if-none-match': tags })
          expect([unchanged.status, await unchanged.text()]).toEqual([304, ''])
          expect(unchanged.headers.get('etag')).toBe(etag)
        }
        expect((await load(key, { 'if-none-match': '"other"' })).status).toBe(200)
        const head = await load(key, {}, 'HEAD')
        expect([head.status, Number(head.headers.get('content-length'))]).toEqual([200, bytes.byteLength])
      })

      test.each([randomUUID(), 'nothing', '..%2F..%2Fetc%2Fpasswd', '%00', 'incoming'])('knows no %s', async (key) => {
        const response = await load(key)
        expect(response.status).toBe(404)
        expect(await response.json()).toMatchObject({ status: 404, errorCode: 'CONTENT_NOT_FOUND' })
      })
    })

    describe('a room that ends takes its picture with it', () => {
      test('when the last member leaves', async () => {
        const key = await uploaded()
        await bob.post(`/api/rooms/${roomId}/leave`)
        expect((await load(key)).status).toBe(200)
        await alice.post(`/api/rooms/${roomId}/leave`)
        expect((await load(key)).status).toBe(404)
        const { rowCount } = await ism.sql.query('select from object_garbage where key = $1', [key])
        expect(rowCount).toBe(0)
      })
    })

    describe('refuses', () => {
      test('a file over 5 MiB', async () => {
        const message = `The request body may have at most ${MAX_BYTES} bytes.`
        expectRefusal(
          await upload(alice, pictureForm(Buffer.concat([landscape], MAX_BYTES + 1))),
          'PAYLOAD_TOO_LARGE',
          message,
        )
        expectRefusal(await upload(alice, pictureForm(Buffer.alloc(MAX_BYTES + 200_000))), 'PAYLOAD_TOO_LARGE', message)
      })

      test('what is no picture', async () => {
        const message = 'The file is not a picture in JPEG, PNG, WebP, GIF or AVIF.'
        expectRefusal(await upload(alice, pictureForm('Hello')), 'FILE_PROCESSING_ERROR', message)
        const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
        expectRefusal(await upload(alice, pictureForm(svg)), 'FILE_PROCESSING_ERROR', message)
        const half = landscape.subarray(0, landscape.length / 2)
        expectRefusal(await upload(alice, pictureForm(half)), 'FILE_PROCESSING_ERROR', /damaged/)
      })

      test('a body that is not multipart, and one without the file', async () => {
        const path = `/api/rooms/${roomId}/upload-img`
        expectRefusal(await alice.post(path, { image: 'x' }), 'UNSUPPORTED_MEDIA_TYPE')
        expectRefusal(await alice.post(path), 'UNSUPPORTED_MEDIA_TYPE')
        const jpeg = { 'content-type': 'image/jpeg' }
        expectRefusal(await alice.raw('POST', path, new Uint8Array(landscape), jpeg), 'UNSUPPORTED_MEDIA_TYPE')
        const missing = 'image is required: a file in a multipart/form-data body.'
        expectRefusal(await upload(alice, pictureForm(landscape, 'picture')), 'VALIDATION_ERROR', missing)
        expectRefusal(await upload(alice, pictureForm('')), 'VALIDATION_ERROR', 'image must not be empty.')
        const twice = pictureForm(landscape)
        twice.append('image', new Blob([new Uint8Array(landscape)]), 'again.jpg')
        expectRefusal(await upload(alice, twice), 'VALIDATION_ERROR', 'image must be sent once.')
        const field = new FormData()
        field.append('image', 'text')
        expectRefusal(await upload(alice, field), 'VALIDATION_ERROR', 'image must be a file, not a plain field.')
        const broken = { 'content-type': 'multipart/form-data; boundary=x' }
        expectRefusal(await alice.raw('POST', path, '--x\r\nContent', broken), 'VALIDATION_ERROR')
      })

      test('and keeps the picture that was there', async () => {
        const key = await uploaded()
        await upload(alice, pictureForm('Hello'))
        await upload(outsider, pictureForm(landscape))
        expect(await imageOf(alice)).toBe(`${bucket}/${key}`)
        expect((await load(key)).status).toBe(200)
      })

      test('who is not in the room, before their file is read', async () => {
        const status = await new Promise((resolve, reject) => {
          const sending = request(`${ism.url}/api/rooms/${roomId}/upload-img`, {
            method: 'POST',
            headers: {
              authorization: `Bearer ${outsider.token}`,
              'content-type': 'multipart/form-data; boundary=x',
              'content-length': MAX_BYTES,
            },
          })
          sending.on('response', (response) => {
            resolve(response.statusCode)
            sending.destroy()
          })
          sending.on('error', reject).write('--x\r\n')
        })
        expect(status).toBe(403)
      })

      test('in this order: the id, the room, the member, the body', async () => {
        const nothing = { 'content-type': 'text/plain' }
        const post = (person: Person, room: string) => person.raw('POST', `/api/rooms/${room}/upload-img`, 'x', nothing)
        expectRefusal(await post(outsider, 'cooks'), 'VALIDATION_ERROR', 'room_id: must be a UUID')
        expectRefusal(await post(outsider, randomUUID()), 'CONTENT_NOT_FOUND', 'Room not found.')
        expectRefusal(await post(outsider, roomId), 'INSUFFICIENT_PERMISSIONS', 'You are not a member of this room.')
        expectRefusal(await post(alice, roomId), 'UNSUPPORTED_MEDIA_TYPE')
      })
    })
  })
}
