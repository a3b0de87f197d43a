/** What a JSON body may be, and what is refused before it does harm. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readJson, readOptionalJson } from '../../src/http/json-body.ts'
import { BodyServer, chunk } from '../support/body-server.ts'

const JSON_TYPE = { 'content-type': 'application/json' }
const LIMIT = 2000

let server: BodyServer
let optional: BodyServer

beforeAll(async () => {
  server = await new BodyServer((req) => readJson(req, LIMIT)).start()
  optional = await new BodyServer((req) => readOptionalJson(req, LIMIT)).start()
})
afterAll(() => Promise.all([server.stop(), optional.stop()]))

const post = (body: string | Uint8Array, headers: Record<string, string> = JSON_TYPE) => server.post(headers, body)

describe('a body', () => {
  it.each(['{"a":[1,null,"ü😀"]}', '[]', '"text"', '42', 'null', ' {} '])('may be %s', async (text) => {
    expect(await post(text)).toEqual({ status: 200, body: JSON.parse(text) })
  })

  it('may begin with a byte order mark', async () => {
    expect(await post('\ufeff{"a":1}')).toEqual({ status: 200, body: { a: 1 } })
  })

  it('may come in chunks that cut a character', async () => {
    const bytes = Buffer.from('{"a":"ü"}')
    const connection = server.connect()
    await connection.send(
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n',
    )
    for (const byte of bytes) await connection.send(chunk(Uint8Array.of(byte)))
    await connection.send('0\r\n\r\n')
    expect(await connection.statuses(1)).toEqual([200])
    connection.close()
  })

  it.each(['{', '{"a":1}}', "{'a':1}", 'undefined', '\0', '{"a":"\0"}', '{"a":"\n"}'])(
    'is refused where it is no JSON: %j',
    async (text) => expect(await post(text)).toEqual({ status: 400, body: 'The body is not valid JSON.' }),
  )

  it.each([[[0xff]], [[0xc3]], [[0xed, 0xa0, 0x80]], [[0xc0, 0x80]]])(
    'is refused where it is no UTF-8: %j',
    async (bytes) => {
      const body = Buffer.concat([Buffer.from('{"a":"'), Buffer.from(bytes), Buffer.from('"}')])
      expect(await post(body)).toEqual({ status: 400, body: 'The body is not valid UTF-8.' })
    },
  )
})

describe('Content-Type', () => {
  it.each([
    'application/json;charset=utf-8',
    'Application/JSON; charset="UTF-8"',
    'application/problem+json',
    'application/json; foo=bar',
  ])('%s is read', async (type) => expect((await post('{}', { 'content-type': type })).status).toBe(200))

  it.each([
    'text/plain',
    'application/jsonp',
    'application/json; charset=iso-8859-1',
    'application/json; charset=utf-16',
    'multipart/form-data; boundary=application/json',
    'application/x-www-form-urlencoded',
  ])('%s is 415', async (type) => expect((await post('{}', { 'content-type': type })).status).toBe(415))

  it('missing is 415', async () => expect((await post(Buffer.from('{}'), {})).status).toBe(415))

  it('with a content encoding is 415', async () => {
    expect((await post('{}', { ...JSON_TYPE, 'content-encoding': 'gzip' })).status).toBe(415)
  })
})

describe('text that cannot be kept', () => {
  it.each([
    ['{"text":"a\\u0000b"}', 'text may not contain U+0000 or a lone surrogate.'],
    ['{"text":"\\ud800"}', 'text may not contain U+0000 or a lone surrogate.'],
    ['{"text":"\\udc00\\ud800"}', 'text may not contain U+0000 or a lone surrogate.'],
    ['{"a":{"names":["ok","\\uDFFF"]}}', 'names may not contain U+0000 or a lone surrogate.'],
    ['{"a\\u0000":1}', 'A field name may not contain U+0000 or a lone surrogate.'],
    ['{"\\ud83d":{}}', 'A field name may not contain U+0000 or a lone surrogate.'],
    ['"\\u0000"', 'The body may not contain U+0000 or a lone surrogate.'],
  ])('%s', async (text, message) => expect(await post(text)).toEqual({ status: 400, body: message }))

  it.each(['{"a":"\\ud83d\\ude00"}', '{"a":"\\\\u0000"}', '{"a":"\\u0001\\u00fc"}'])('is not %s', async (text) =>
    expect(await post(text)).toEqual({ status: 200, body: JSON.parse(text) }),
  )
})

describe('structure', () => {
  const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)

  it('may have 32 levels', async () => {
    expect((await post(nested(32))).status).toBe(200)
    expect((await post(nested(33))).status).toBe(400)
    expect((await post('{"a":'.repeat(33) + 1 + '}'.repeat(33))).status).toBe(400)
    expect((await post(nested(990))).status).toBe(400)
  })

  it.each(['{"__proto__":{"admin":true}}', '{"a":[{"\\u005f_proto__":1}]}'])(
    'may not have a field that sets prototypes: %s',
    async (text) => expect(await post(text)).toEqual({ status: 400, body: 'A field may not be named __proto__.' }),
  )
})

describe('an empty body', () => {
  it('is 400 where one is required', async () => {
    for (const headers of [{}, JSON_TYPE]) {
      expect(await server.post(headers)).toEqual({ status: 400, body: 'A JSON body is required.' })
    }
  })

  it('is undefined where none is, whatever its type', async () => {
    for (const headers of [{}, JSON_TYPE, { 'content-type': 'text/plain' }]) {
      expect(await optional.post(headers)).toEqual({ status: 200, body: 'undefined' })
    }
    expect(await optional.post(JSON_TYPE, '{"roomSeq":3}')).toEqual({ status: 200, body: { roomSeq: 3 } })
    expect((await optional.post({ 'content-type': 'text/plain' }, '{}')).status).toBe(415)
  })

  it('may be chunked', async () => {
    const connection = optional.connect()
    await connection.send('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')
    expect(await connection.statuses(1)).toEqual([200])
    connection.close()
  })
})

describe('a body over the limit', () => {
  const text = (size: number) => `"${'x'.repeat(size - 2)}"`

  it('is 413, one at the limit is read', async () => {
    expect((await post(text(LIMIT))).status).toBe(200)
    expect(await post(text(LIMIT + 1))).toEqual({
      status: 413,
      body: 'The request body may have at most 2000 bytes.',
    })
  })

  it('is refused by its Content-Length, before any of it came', async () => {
    const connection = server.connect()
    await connection.send(
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n',
    )
    expect(await connection.statuses(1)).toEqual([413])
    connection.close()
  })

  it('leaves the connection to the next request', async () => {
    const connection = server.connect()
    const next = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'
    const head = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
    await connection.send(`${head}Content-Length: 500000\r\n\r\n`, 'x'.repeat(500_000), next)
    await connection.send(`${head}Transfer-Encoding: chunked\r\n\r\n`, chunk('x'.repeat(300_000)))
    expect(await connection.statuses(3)).toEqual([413, 200, 413])
    await connection.send(chunk('x'.repeat(300_000)), '0\r\n\r\n', next)
    expect(await connection.statuses(4)).toEqual([413, 200, 413, 200])
    connection.close()
  })
})

it('a body that is all here before it is read is judged the same, and leaves the connection to the next request', async () => {
  const waiting = await new BodyServer(async (req) => {
    while (!req.complete) await new Promise((resolve) => setImmediate(resolve))
    return readJson(req, LIMIT)
  }).start()
  expect(await waiting.post(JSON_TYPE, '{"a":"ü"}')).toEqual({ status: 200, body: { a: 'ü' } })
  const connection = waiting.connect()
  const head = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'
  await connection.send(head, chunk('{"a":'), chunk('1}'), '0\r\n\r\n')
  await connection.send(head, chunk('x'.repeat(LIMIT)), chunk('x'), '0\r\n\r\n')
  await connection.send(head, '0\r\n\r\n')
  await connection.send(head, chunk('{}'), '0\r\n\r\n')
  expect(await connection.statuses(4)).toEqual([200, 413, 400, 200])
  connection.close()
  await waiting.stop()
})

it('a sender who breaks off is no unhandled error', async () => {
  const failures: unknown[] = []
  const reader = await new BodyServer((req) => readJson(req).catch((error) => failures.push(error))).start()
  const connection = reader.connect()
  await connection.send(
    'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"a"',
  )
  connection.close()
  await expect.poll(() => failures, { timeout: 8_000 }).toMatchObject([{ code: 'VALIDATION_ERROR' }])
  await reader.stop()
})
