/** Reading the picture of a multipart body, and what formidable's own form would have let through. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readImage } from '../../src/http/multipart.ts'
import { BodyServer, chunk } from '../support/body-server.ts'

const LIMIT = 100_000
const ENVELOPE = 64 * 1024

let server: BodyServer
let read: Buffer | undefined

beforeAll(async () => {
  server = await new BodyServer(async (req) => {
    read = await readImage(req, { maxBytes: LIMIT })
    return read.length
  }).start()
})
afterAll(() => server.stop())

const TYPE = { 'content-type': 'multipart/form-data; boundary=B' }
const FILE = 'Content-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type: image/png'

/** A body of the given parts: each its header lines and its content. */
function multipart(...parts: [header: string, content: string | Buffer][]): Buffer {
  const pieces = parts.flatMap(([header, content]) => [`--B\r\n${header}\r\n\r\n`, content, '\r\n'])
  return Buffer.concat([...pieces, '--B--\r\n'].map((piece) => Buffer.from(piece)))
}

const post = (body: Buffer, headers: Record<string, string> = TYPE) => server.post(headers, body)

describe('the picture', () => {
  it('arrives as it was sent by a browser', async () => {
    const bytes = Buffer.from(Array.from({ length: LIMIT }, (_, i) => (i * 31) % 251))
    const form = new FormData()
    form.set('caption', 'hello')
    form.set('image', new Blob([bytes], { type: 'image/png' }), 'ä "quoted".png')
    expect((await server.post({}, form)).status).toBe(200)
    expect(read?.equals(bytes)).toBe(true)
  })

  it('may contain what looks like a boundary', async () => {
    const bytes = Buffer.from('\r\n--\r\n-B\r\n--C\r\r\r\n\r\n-')
    expect((await post(multipart([FILE, bytes]))).status).toBe(200)
    expect(read?.equals(bytes)).toBe(true)
  })

  it.each([
    ['without Content-Type', 'Content-Disposition: form-data; name="image"; filename="a.png"'],
    ['without filename', 'Content-Disposition: form-data; name="image"\r\nContent-Type: image/png'],
    ['with an empty filename', 'Content-Disposition: form-data; name="image"; filename=""'],
    ['with its name as a token', 'content-disposition: form-data; Name=image; filename=a.png'],
  ])('is a file %s', async (_, header) => {
    expect(await post(multipart([header, 'bytes']))).toEqual({ status: 200, body: 5 })
  })

  it.each(['multipart/form-data; boundary="B"', 'Multipart/Form-Data; charset=utf-8; boundary=B'])(
    'comes with %s',
    async (type) => expect((await post(multipart([FILE, 'x']), { 'content-type': type })).status).toBe(200),
  )
})

describe('415', () => {
  it.each([
    'application/json',
    'image/png',
    'application/octet-stream; boundary=multipart/form-data',
    'multipart/mixed; boundary=B',
    'multipart/form-datax; boundary=B',
  ])('for %s', async (type) => {
    expect((await post(multipart([FILE, 'x']), { 'content-type': type })).status).toBe(415)
  })

  it('for no type at all', async () => expect((await post(multipart([FILE, 'x']), {})).status).toBe(415))
})

describe('400', () => {
  it.each([
    [
      'no part of that name',
      multipart(['Content-Disposition: form-data; name="picture"; filename="a"', 'x']),
      /image is required/,
    ],
    [
      'a name that only resembles it',
      multipart(['Content-Disposition: form-data; filename="; name=image"', 'x']),
      /image is required/,
    ],
    ['no parts', Buffer.from('--B--\r\n'), /image is required/],
    ['an empty file', multipart([FILE, '']), /image must not be empty/],
    ['a plain field', multipart(['Content-Disposition: form-data; name="image"', 'x']), /image must be a file/],
    ['two pictures', multipart([FILE, 'x'], [FILE, 'y']), /image must be sent once/],
    ['a missing end', multipart([FILE, 'x']).subarray(0, -12), /malformed/],
    ['another boundary', Buffer.from('--C\r\n\r\nx\r\n--C--'), /malformed|required/],
    ['no multipart', Buffer.from('hello'), /malformed/],
    ['eleven parts', multipart(...Array.from({ length: 11 }, (): [string, string] => ['A: b', 'x'])), /10 parts/],
    ['a long part header', multipart([`X: ${'x'.repeat(9000)}`, 'x']), /header of a part/],
    ['header lines without end', multipart([`${'A: b\r\n'.repeat(5000)}A: b`, 'x']), /header of a part/],
  ])('for %s', async (_, body, message) => {
    const answer = await post(body)
    expect(answer).toEqual({ status: 400, body: expect.stringMatching(message) })
  })

  it.each(['multipart/form-data', 'multipart/form-data; boundary=', `multipart/form-data; boundary=${'b'.repeat(71)}`])(
    'for a type without a boundary: %s',
    async (type) => expect((await post(multipart([FILE, 'x']), { 'content-type': type })).status).toBe(400),
  )

  it('for an empty body', async () => expect((await server.post(TYPE)).status).toBe(400))
})

describe('413', () => {
  it('one byte over the limit, and not before', async () => {
    expect((await post(multipart([FILE, Buffer.alloc(LIMIT)]))).status).toBe(200)
    expect(await post(multipart([FILE, Buffer.alloc(LIMIT + 1)]))).toEqual({
      status: 413,
      body: `The request body may have at most ${LIMIT} bytes.`,
    })
  })

  it('for other parts that are long', async () => {
    const other = 'Content-Disposition: form-data; name="other"'
    expect((await post(multipart([FILE, 'x'], [other, Buffer.alloc(LIMIT + ENVELOPE)]))).status).toBe(413)
  })

  it('by Content-Length, before any of it came', async () => {
    const connection = server.connect()
    await connection.send(head('multipart/form-data; boundary=B', 'Content-Length: 10000000'))
    expect(await connection.statuses(1)).toEqual([413])
    connection.close()
  })
})

function head(type: string, framing: string): string {
  return `POST / HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\n${framing}\r\n\r\n`
}

const CHUNKED = 'Transfer-Encoding: chunked'

describe('what formidable lets through', () => {
  it('boundary=octet-stream does not lift the limit', async () => {
    const connection = server.connect()
    await connection.send(head('multipart/form-data; boundary=octet-stream', CHUNKED))
    const body = `--octet-stream\r\n${FILE}\r\n\r\n${'x'.repeat(2 * LIMIT)}`
    await connection.send(chunk(body))
    expect(await connection.statuses(1)).toEqual([413])
    connection.close()
    const small = Buffer.from(`--octet-stream\r\n${FILE}\r\n\r\nx\r\n--octet-stream--`)
    const type = { 'content-type': 'multipart/form-data; boundary=octet-stream' }
    expect(await post(small, type)).toEqual({ status: 200, body: 1 })
  })

  it('a refusal in mid-stream leaves the connection to the next request', async () => {
    const connection = server.connect()
    const type = 'multipart/form-data; boundary=B'
    const next = multipart([FILE, 'x'])
    await connection.send(head(type, CHUNKED), chunk(`--B\r\n${FILE}\r\n\r\n`), chunk(Buffer.alloc(3 * LIMIT)))
    expect(await connection.statuses(1)).toEqual([413])
    await connection.send(chunk(Buffer.alloc(10 * LIMIT)), chunk('\r\n--B--\r\n'), '0\r\n\r\n')
    await connection.send(head(type, `Content-Length: ${next.length}`), next)
    expect(await connection.statuses(2)).toEqual([413, 200])
    await connection.send(head('text/plain', `Content-Length: ${next.length}`), next)
    await connection.send(head(type, `Content-Length: ${next.length}`), next)
    expect(await connection.statuses(4)).toEqual([413, 200, 415, 200])
    connection.close()
  })

  it('a preamble or an end without end is bounded', async () => {
    for (const start of ['x', '--B--\r\n']) {
      const connection = server.connect()
      await connection.send(
        head('multipart/form-data; boundary=B', CHUNKED),
        chunk(start),
        chunk(Buffer.alloc(3 * LIMIT)),
      )
      expect(await connection.statuses(1)).toEqual([413])
      connection.close()
    }
  })

  it.each(['7bit', 'base64', 'nonsense'])('Content-Transfer-Encoding: %s harms nobody', async (encoding) => {
    const field = `Content-Disposition: form-data; name="other"\r\nContent-Transfer-Encoding: ${encoding}`
    expect((await post(multipart([field, 'x'], [FILE, 'x']))).status).toBe(200)
  })

  it('neither a filename nor a false boundary takes long', async () => {
    const started = performance.now()
    const long = `Content-Disposition: form-data; name="image"; ${'filename="a '.repeat(5000)}`
    expect((await post(multipart([long, 'x']))).status).toBe(400)
    const large = await new BodyServer((req) => readImage(req, { maxBytes: 5 << 20 })).start()
    expect((await large.post(TYPE, multipart([FILE, Buffer.alloc(5 << 20, '\r')]))).status).toBe(400)
    await large.stop()
    expect(performance.now() - started).toBeLessThan(5000)
  })
})
