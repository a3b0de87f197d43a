/** HTTP as every client meets it: the one form of refusals, bounded bodies, headers, CORS, request ids, limits. */
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { App } from '../../src/app.ts'
import { createLogger } from '../../src/observability/logger.ts'
import { chunk, RawConnection } from '../support/body-server.ts'
import { eventually } from '../support/eventually.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { reservedPort } from '../support/node.ts'
import type { Answer, Person } from '../support/person.ts'
import { expectRefusal } from '../support/refusal.ts'

const ORIGINS = ['https://app.example', 'http://localhost:3000']

let ism: TestIsm
let alice: Person
let bob: Person
let roomId: string
const lines: Record<string, unknown>[] = []
const nodes: App[] = []

beforeAll(async () => {
  const logger = createLogger('debug', { write: (line) => void lines.push(JSON.parse(line)) })
  ism = await startIsm({ server: { corsOrigins: ORIGINS } }, logger)
  ;[alice, bob] = await ism.people('alice', 'bob')
  roomId = await alice.createRoom([bob])
})
afterAll(async () => {
  await Promise.all(nodes.map((node) => node.close()))
  await ism.stop()
})

async function anotherNode(...overrides: Parameters<TestIsm['anotherNode']>): Promise<string> {
  const node = await ism.anotherNode(...overrides)
  nodes.push(node)
  return `http://127.0.0.1:${node.address.port}`
}

/** alice's call, but for what `init` says. */
async function call(path: string, init: RequestInit = {}, url = ism.url): Promise<Answer> {
  const headers = { authorization: `Bearer ${alice.token}`, ...(init.headers as Record<string, string>) }
  const response = await fetch(`${url}${path}`, { ...init, headers })
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.startsWith('application/json')
  return { status: response.status, headers: response.headers, body: isJson && text ? JSON.parse(text) : text }
}

const postJson = (path: string, body: string | Buffer, type = 'application/json') =>
  call(path, { method: 'POST', headers: { 'content-type': type }, body })

describe('public texts', () => {
  it.each([
    ['/', "Hello, world! I'm your new ISM. 🤗"],
    ['/health', 'Healthy'],
  ])('%s says %j, to anybody', async (path, text) => {
    const response = await fetch(`${ism.url}${path}`)
    expect([response.status, await response.text()]).toEqual([200, text])
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8')
  })

  it.each(['/', '/health', '/health/ready', '/api/rooms', '/api/users/friends'])(
    'HEAD %s has no body',
    async (path) => {
      const head = await call(path, { method: 'HEAD' })
      expect([head.status, head.body]).toEqual([200, ''])
      expect(head.headers.get('content-type')).toBe((await call(path)).headers.get('content-type'))
    },
  )

  it('HEAD of what is refused has its status', async () => {
    expect((await call('/api/rooms/x', { method: 'HEAD' })).status).toBe(400)
    expect((await call('/api/nothing', { method: 'HEAD' })).status).toBe(404)
  })
})

describe('a path', () => {
  it.each(['/api/', '/api/nothing', '/api/rooms/x/y/z', '/api/users', '/api//rooms', '/api/Rooms/x/y'])(
    "%s is nobody's",
    async (path) => expectRefusal(await call(path), 'CONTENT_NOT_FOUND', 'There is nothing at this path.'),
  )

  it('outside /api that nobody serves is refused in the same form', async () => {
    const { status, body } = await call('/nothing?secret=1')
    expect(status).toBe(404)
    expect(body).toMatchObject({ status: 404, error: 'Not Found', errorCode: 'CONTENT_NOT_FOUND', path: '/nothing' })
  })

  it.each(['/api/users/%zz', '/api/rooms/%E0%A4%A', '/api/rooms/%E0%A4%A/users', '/api/rooms/%ff/timeline'])(
    '%s is badly encoded',
    async (path) => expectRefusal(await call(path), 'VALIDATION_ERROR'),
  )

  it.each([
    ['GET', '/api/send-msg', 'POST'],
    ['PUT', '/api/rooms', 'HEAD, GET'],
    ['DELETE', '/api/sse', 'HEAD, GET'],
    ['PATCH', '/api/notifications/cursor', 'HEAD, GET'],
    ['GET', '/api/rooms/5b0d1c9e-3f6a-4c83-9a0e-5f1d2c3b4a59/leave', 'POST'],
    ['GET', '/api/users/ignore/5b0d1c9e-3f6a-4c83-9a0e-5f1d2c3b4a59', 'POST, DELETE'],
    ['GET', '/api/users/friends/5b0d1c9e-3f6a-4c83-9a0e-5f1d2c3b4a59', 'DELETE'],
    ['GET', '/api/rooms/create-room', 'POST'],
    ['PUT', '/api/rooms/create-room', 'POST'],
    ['DELETE', '/api/users/friends/requests', 'HEAD, GET'],
  ])('takes no %s at %s, but %s', async (method, path, allowed) => {
    for (const token of [alice.token, 'bad']) {
      const answer = await call(path, { method, headers: { authorization: `Bearer ${token}` } })
      expectRefusal(answer, 'METHOD_NOT_ALLOWED')
      expect(answer.headers.get('allow')?.split(', ').sort()).toEqual(allowed.split(', ').sort())
    }
  })

  it('tells its methods to OPTIONS', async () => {
    const answer = await call('/api/users/ignore/x', { method: 'OPTIONS' })
    expect([answer.status, answer.body]).toEqual([204, ''])
    expect(answer.headers.get('allow')?.split(', ').sort()).toEqual(['DELETE', 'POST'])
  })
})

it('an expectation that nobody knows is passed over', async () => {
  const connection = new RawConnection(connect(ism.app.address.port, '127.0.0.1'))
  await connection.send('GET /health HTTP/1.1\r\nHost: x\r\nExpect: the-unexpected\r\n\r\n')
  expect(await connection.statuses(1)).toEqual([200])
  connection.close()
})

it('two tokens are none', async () => {
  const connection = new RawConnection(connect(ism.app.address.port, '127.0.0.1'))
  const authorization = `Authorization: Bearer ${alice.token}\r\n`
  await connection.send(`GET /api/rooms HTTP/1.1\r\nHost: x\r\n${authorization}\r\n`)
  await connection.send(`GET /api/rooms HTTP/1.1\r\nHost: x\r\n${authorization}${authorization}\r\n`)
  expect(await connection.statuses(2)).toEqual([200, 401])
  connection.close()
})

describe('what is hardly a request', () => {
  it.each([
    ['no HTTP at all', 'what is this?\r\n\r\n', 400, 'VALIDATION_ERROR', ''],
    [
      'a request without Host',
      'GET /api/rooms HTTP/1.1\r\nConnection: close\r\n\r\n',
      400,
      'VALIDATION_ERROR',
      '/api/rooms',
    ],
    [
      'a request with two Hosts',
      'GET /api/rooms HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n',
      400,
      'VALIDATION_ERROR',
      '/api/rooms',
    ],
    [
      'a body in a coding that nobody knows',
      'POST /api/rooms HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\nConnection: close\r\n\r\n0\r\n\r\n',
      400,
      'VALIDATION_ERROR',
      '/api/rooms',
    ],
    [
      'headers over 64 KiB',
      `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(70_000)}\r\n\r\n`,
      431,
      'PAYLOAD_TOO_LARGE',
      '',
    ],
  ])('%s', async (_, text, status, errorCode, path) => {
    const answer = await new Promise<string>((resolve) => {
      let received = ''
      const socket = connect(ism.app.address.port, '127.0.0.1', () => socket.write(text))
      socket.on('data', (data) => {
        received += data
      })
      socket.on('error', () => {})
      socket.on('close', () => resolve(received))
    })
    const [head, body] = answer.split('\r\n\r\n')
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(JSON.parse(body ?? '')).toMatchObject({ status, errorCode, path })
  })
})

describe('a body', () => {
  it.each([
    ['no JSON', '{"chatRoomId":'],
    ['nothing', ''],
    ['a list', '[]'],
    ['null', 'null'],
    ['a number', '1'],
    ['not UTF-8', Buffer.from('{"chatRoomId":"\xff"}', 'latin1')],
    ['with U+0000', '{"msgBody":{"text":"a\\u0000"}}'],
    ['with half a character', '{"msgBody":{"text":"\\ud83d"}}'],
    ['nested too deep', '['.repeat(100) + ']'.repeat(100)],
  ])('that is %s is refused', async (_, body) =>
    expectRefusal(await postJson('/api/send-msg', body), 'VALIDATION_ERROR'),
  )

  it('that breaks its schema is refused by field and rule', async () => {
    const message = { chatRoomId: roomId, msgType: 'Text', msgBody: { text: '' } }
    expectRefusal(await alice.post('/api/send-msg', message), 'VALIDATION_ERROR', /^msgBody\.text: .*1 character/)
    expectRefusal(await alice.post('/api/send-msg', {}), 'VALIDATION_ERROR', 'chatRoomId: is required')
  })

  it.each(['urn:uuid:', '{', ' '])('with an id that has %j before it is refused by field and rule', async (prefix) => {
    const id = `${prefix}${roomId}`
    const message = { chatRoomId: roomId, msgType: 'Text', msgBody: { text: 'x' } }
    const room = { roomType: 'Group', roomName: 'Tea', invitedUsers: [alice.id, id] }
    for (const [path, body, field] of [
      ['/api/send-msg', { ...message, chatRoomId: id }, 'chatRoomId'],
      ['/api/send-msg', { ...message, clientMessageId: id }, 'clientMessageId'],
      ['/api/rooms/create-room', room, 'invitedUsers.1'],
    ] as const)
      expectRefusal(await alice.post(path, body), 'VALIDATION_ERROR', `${field}: must match format "uuid"`)
  })

  it.each([
    ['/api/send-msg', 'text/plain', '{}'],
    ['/api/send-msg', 'application/x-www-form-urlencoded', 'a=b'],
    ['/api/send-msg', 'application/json; charset=latin1', '{}'],
    ['/api/rooms/create-room', 'multipart/form-data; boundary=x', '--x--'],
  ])('at %s of type %s is not taken', async (path, type, body) =>
    expectRefusal(await postJson(path, body, type), 'UNSUPPORTED_MEDIA_TYPE'),
  )

  it('that should be a picture but is JSON is not taken', async () =>
    expectRefusal(await postJson(`/api/rooms/${roomId}/upload-img`, '{}'), 'UNSUPPORTED_MEDIA_TYPE'))

  describe('over its limit', () => {
    const LIMIT = 1024 * 1024
    const open = () => new RawConnection(connect(ism.app.address.port, '127.0.0.1'))
    const head = (method: string, path: string, ...headers: string[]) =>
      `${[`${method} ${path} HTTP/1.1`, 'host: ism', `authorization: Bearer ${alice.token}`, ...headers].join('\r\n')}\r\n\r\n`

    it('is refused in the usual form', async () =>
      expectRefusal(await postJson('/api/send-msg', ' '.repeat(LIMIT + 1)), 'PAYLOAD_TOO_LARGE'))

    it('by its Content-Length is refused before it is sent, and the connection goes on', async () => {
      const connection = open()
      const body = Buffer.alloc(LIMIT + 1, ' ')
      const type = 'content-type: application/json'
      await connection.send(head('POST', '/api/send-msg', type, `content-length: ${body.length}`))
      expect(await connection.statuses(1)).toEqual([413])
      await connection.send(body, head('GET', '/api/rooms'))
      expect(await connection.statuses(2)).toEqual([413, 200])
      connection.close()
    })

    it('in the middle of its chunks is refused there, and the connection goes on', async () => {
      const connection = open()
      const type = 'content-type: application/json'
      await connection.send(head('POST', '/api/send-msg', type, 'transfer-encoding: chunked'))
      for (let sent = 0; sent <= LIMIT; sent += LIMIT / 4) await connection.send(chunk(Buffer.alloc(LIMIT / 4, ' ')))
      expect(await connection.statuses(1)).toEqual([413])
      await connection.send(chunk('more'), chunk(''), head('GET', '/api/rooms'))
      expect(await connection.statuses(2)).toEqual([413, 200])
      connection.close()
    })

    it('of a picture is refused before it is sent', async () => {
      const connection = open()
      const type = 'content-type: multipart/form-data; boundary=x'
      await connection.send(head('POST', `/api/rooms/${roomId}/upload-img`, type, `content-length: ${6 * LIMIT}`))
      expect(await connection.statuses(1)).toEqual([413])
      connection.close()
    })
  })
})

describe('headers', () => {
  it.each([
    ['/', {}],
    ['/api/rooms', {}],
    ['/api/rooms', { headers: { origin: 'https://app.example' } }],
    ['/api/rooms', { headers: { origin: 'https://evil.example' } }],
    ['/api/rooms', { method: 'HEAD' }],
    ['/api/sse', { method: 'HEAD' }],
    ['/api/notifications?timestamp=2026-01-01T00:00:00Z', {}],
    ['/api/nothing', {}],
    ['/api/rooms', { method: 'OPTIONS' }],
  ])('of %s, %j, keep browsers from guessing and framing', async (path, init) => {
    const { headers } = await call(path, init)
    expect(headers.get('vary')).toBe('Origin')
    expect(headers.get('x-request-id')).not.toBeNull()
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('x-frame-options')).toBe('DENY')
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(headers.get('strict-transport-security')).toMatch(/^max-age=\d{7,}/)
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    expect(headers.get('x-powered-by')).toBeNull()
    expect(headers.get('server')).toBeNull()
  })
})

describe('CORS', () => {
  const corsOf = ({ headers }: Answer) =>
    [...headers].filter(([name]) => name.startsWith('access-control-')).map(([name]) => name)

  it.each(ORIGINS)('lets %s read answers, refusals too', async (origin) => {
    for (const path of ['/api/rooms', '/api/nothing', '/health']) {
      const { headers } = await call(path, { headers: { origin } })
      expect(headers.get('access-control-allow-origin')).toBe(origin)
      expect(headers.get('access-control-expose-headers')).toMatch(/Link.*Retry-After/)
      expect(headers.get('access-control-allow-credentials')).toBeNull()
      expect(headers.get('vary')).toMatch(/origin/i)
    }
    const refused = await call('/api/rooms', { headers: { origin, authorization: 'Bearer bad' } })
    expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([401, origin])
  })

  it.each(ORIGINS)('answers the preflight of %s', async (origin) => {
    const headers = {
      origin,
      authorization: '',
      'access-control-request-method': 'DELETE',
      'access-control-request-headers': 'authorization,content-type,last-event-id',
    }
    const answer = await call('/api/users/ignore/x', { method: 'OPTIONS', headers })
    expect(answer.status).toBe(204)
    expect(answer.headers.get('access-control-allow-origin')).toBe(origin)
    expect(answer.headers.get('access-control-allow-methods')?.split(',')).toEqual(
      expect.arrayContaining(['GET', 'POST', 'DELETE']),
    )
    const allowed = answer.headers.get('access-control-allow-headers')?.toLowerCase().split(',')
    expect(allowed).toEqual(expect.arrayContaining(['authorization', 'content-type', 'last-event-id']))
    expect(answer.headers.get('access-control-allow-credentials')).toBeNull()
  })

  it.each([
    'https://evil.example',
    'https://app.example.evil.example',
    'https://sub.app.example',
    'http://app.example',
    'https://app.example:8443',
    'https://APP.example',
    'https://app.example/',
    'null',
    '*',
  ])('tells %s nothing', async (origin) => {
    expect(corsOf(await call('/api/rooms', { headers: { origin } }))).toEqual([])
    const preflight = { origin, 'access-control-request-method': 'POST' }
    expect(corsOf(await call('/api/send-msg', { method: 'OPTIONS', headers: preflight }))).toEqual([])
  })

  it('is off where no origin is configured', async () => {
    const url = await anotherNode({ server: { corsOrigins: [] } })
    expect(corsOf(await call('/api/rooms', { headers: { origin: 'https://app.example' } }, url))).toEqual([])
    expect(corsOf(await call('/api/rooms', {}, url))).toEqual([])
  })
})

describe('a request', () => {
  const UUID = /^[0-9a-f-]{36}$/
  const linesOf = (requestId: unknown) => lines.filter((line) => line['requestId'] === requestId)

  it.each(['abc', 'A.b:c+/=-_1', 'x'.repeat(128)])('keeps the id %s', async (id) => {
    expect((await call('/health', { headers: { 'x-request-id': id } })).headers.get('x-request-id')).toBe(id)
  })

  it.each(['a b', 'x'.repeat(129), 'a"b', '{}', 'ä'])('gets an id of its own instead of %j', async (id) => {
    expect((await call('/health', { headers: { 'x-request-id': id } })).headers.get('x-request-id')).toMatch(UUID)
  })

  it('has one line in the log, without token, query or body', async () => {
    const first = lines.length
    const sent = await alice.send(roomId, 'a secret text', { secretField: 'a secret field' })
    const found = await alice.get('/api/users/search?username=secretquery')
    const refused = await call('/api/rooms/secretless?token=secretquery', {
      headers: { 'x-forwarded-for': 'secretheader' },
    })
    const denied = await call('/api/rooms', { headers: { authorization: 'Bearer secret.bad.token' } })
    const expected = [
      { method: 'POST', path: '/api/send-msg', status: 200, userId: alice.id },
      { method: 'GET', path: '/api/users/search', status: 200, userId: alice.id },
      { method: 'GET', path: '/api/rooms/secretless', status: 400, userId: alice.id },
      { method: 'GET', path: '/api/rooms', status: 401 },
    ]
    for (const [i, answer] of [sent, found, refused, denied].entries()) {
      const requestId = answer.headers.get('x-request-id')
      const requests = () => linesOf(requestId).filter(({ msg }) => msg === 'request')
      await eventually('its line', async () => requests().length > 0)
      expect(requests()).toEqual([expect.objectContaining({ ...expected[i], milliseconds: expect.any(Number) })])
    }
    const written = JSON.stringify(lines.slice(first))
    expect(written).not.toMatch(/secret text|secretField|secret field|secretquery|secretheader|secret\.bad|eyJ/)
    expect(written).not.toContain(alice.token)
  })

  it('for a stream has its line when that is over', async () => {
    const first = lines.length
    const stream = await alice.stream()
    await alice.get('/api/users/search?username=somebody')
    const ofStreams = () => lines.slice(first).filter(({ msg, path }) => msg === 'request' && path === '/api/sse')
    expect(ofStreams()).toEqual([])
    stream.close()
    await eventually('its line', async () => ofStreams().length > 0)
    const told = { method: 'GET', status: 200, userId: alice.id, requestId: expect.stringMatching(UUID) }
    expect(ofStreams()).toEqual([expect.objectContaining({ ...told, milliseconds: expect.any(Number) })])
  })

  it('that fails inside is answered with nothing but an apology, and noted in the log under its id', async () => {
    await ism.sql.query('alter table user_relationship rename to elsewhere')
    const answer = await alice.get('/api/users/friends')
    await ism.sql.query('alter table elsewhere rename to user_relationship')
    expectRefusal(answer, 'UNEXPECTED_ERROR', 'Something went wrong here; it was noted.')
    expect(JSON.stringify(answer.body)).not.toMatch(/select|user_relationship|relation|\.ts|127\.0\.0\.1|node_modules/i)
    const [line] = linesOf(answer.headers.get('x-request-id')).filter(({ level }) => Number(level) >= 50)
    expect(JSON.stringify(line)).toMatch(/user_relationship.*does not exist/)
    expect((await alice.get('/api/users/friends')).status).toBe(200)
  })
})

describe('a limit', () => {
  const png = Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
    'base64',
  )
  const upload = (person: Person) => {
    const body = new FormData()
    body.append('image', new Blob([png], { type: 'image/png' }), 'a.png')
    const headers = { authorization: `Bearer ${person.token}` }
    return call(`/api/rooms/${roomId}/upload-img`, { method: 'POST', headers, body }, person.url)
  }
  const LIMITED: [string, number, (person: Person) => Promise<Answer>][] = [
    ['sends', 10, (person) => person.send(roomId, 'quick')],
    ['searches', 30, (person) => person.get('/api/users/search?username=a')],
    [
      'new rooms',
      1800,
      (person) =>
        person.post('/api/rooms/create-room', { roomType: 'Group', roomName: 'g', invitedUsers: [alice.id, bob.id] }),
    ],
    ['uploads', 1800, upload],
    ['tickets', 30, (person) => person.post('/api/sse/ticket')],
  ]
  let url: string
  beforeAll(async () => {
    url = await anotherNode({
      limits: {
        // Three sends must take less time than one more needs.
        sendsPerSecond: 0.1,
        sendBurst: 2,
        searchesPerMinute: 2,
        roomsPerHour: 2,
        uploadsPerHour: 2,
        ticketsPerMinute: 2,
      },
    })
  })

  it.each(LIMITED)('on %s counts each person alone, and says when to come back', async (_, seconds, action) => {
    for (const person of [alice.at(url), bob.at(url)]) {
      expect((await action(person)).status).toBe(200)
      expect((await action(person)).status).toBe(200)
      const refused = await action(person)
      expectRefusal(refused, 'RATE_LIMITED', 'Too many requests. Try again later.')
      const wait = Number(refused.headers.get('retry-after'))
      expect(wait).toBeGreaterThanOrEqual(1)
      expect(wait).toBeLessThanOrEqual(seconds)
    }
  })

  it('leaves everything else alone', async () => {
    const limited = alice.at(url)
    for (let i = 0; i < 5; i++) expect((await limited.get('/api/rooms')).status).toBe(200)
  })
})

describe('metrics', () => {
  const get = async (url: string, headers: Record<string, string> = {}) => {
    const response = await fetch(`${url}/metrics`, { headers })
    return { status: response.status, headers: response.headers, body: await response.text() }
  }

  it('are nowhere unless configured', async () => expect((await get(ism.url)).status).toBe(404))

  it('are for whoever bears their token', async () => {
    const url = await anotherNode({ metrics: { token: 'metrics-token' } })
    await alice.at(url).send(roomId, 'counted')
    const { status, headers, body } = await get(url, { authorization: 'Bearer metrics-token' })
    expect(status).toBe(200)
    expect(headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
    expect(body).toMatch(/^ism_append_batch_size_count 1$/m)
    expect(body).toMatch(
      /^ism_http_request_duration_seconds_count\{method="POST",route="\/api\/send-msg",status="200"\} 1$/m,
    )
    expect(body).toMatch(/^ism_projection_lag\{name="archive"\} \d+$/m)
    expect(body).toMatch(/^ism_streams 0$/m)
    expect(body).not.toMatch(/maintenance/)
    for (const headers of [{}, { authorization: 'Bearer other' }, { authorization: `Bearer ${alice.token}` }]) {
      const refused = await get(url, headers as Record<string, string>)
      expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
    }
  })

  it.each([
    ['/api/users/search?username=ali', '/api/users/search'],
    ['/api/users/friends/', '/api/users/friends'],
    ['/api/rooms/00000000-0000-4000-8000-000000000000', '/api/rooms/:room_id'],
    ['/api/nothing', 'none'],
  ])('count a GET of %s under %s', async (path, route) => {
    const url = await anotherNode({ metrics: { token: 'metrics-token' } })
    await alice.at(url).get(path)
    const { body } = await get(url, { authorization: 'Bearer metrics-token' })
    const counted = /^ism_http_request_duration_seconds_count\{method="GET",route="([^"]+)",/m.exec(body)
    expect(counted?.[1]).toBe(route)
  })

  it('have a port of their own, where nothing else is', async () => {
    const port = await reservedPort()
    const url = await anotherNode({ metrics: { port } })
    const own = `http://127.0.0.1:${port}`
    expect((await get(own)).body).toMatch(/^ism_streams 0$/m)
    expect((await fetch(`${own}/`)).status).toBe(404)
    expect((await fetch(`${own}/metrics`, { method: 'POST' })).status).toBe(404)
    expect((await get(url)).status).toBe(404)
  })
})
