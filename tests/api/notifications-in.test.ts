/** `POST /api/notifications`: who may send, what people get, once, and what is refused. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openDatabase } from '../../src/infra/postgres.ts'
import { deleteOldRequests } from '../../src/notifications/received-requests.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { sign } from '../support/issuer-server.ts'
import type { Answer, Person } from '../support/person.ts'
import { expectRefusal } from '../support/refusal.ts'
import { newSecret, signedHeaders } from '../support/signed-request.ts'

const [OLD, NEW, OTHER] = [newSecret(), newSecret(64), newSecret()]
const PATH = '/api/notifications'

let ism: TestIsm
let alice: Person
let bob: Person
let nodes: string[]
beforeAll(async () => {
  ism = await startIsm({ webhook: { secrets: [OLD, NEW], serviceRole: 'notifier' } })
  ;[alice, bob] = await ism.people('alice', 'bob')
  const other = await ism.anotherNode()
  nodes = [ism.url, `http://127.0.0.1:${other.address.port}`]
  return () => other.close()
})
afterAll(() => ism.stop())

const JSON_TYPE = { 'content-type': 'application/json' }

async function post(
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string>,
  url = ism.url,
): Promise<Answer> {
  const response = await fetch(`${url}${PATH}`, { method: 'POST', headers: { ...JSON_TYPE, ...headers }, body })
  return { status: response.status, headers: response.headers, body: await response.json() }
}

/** As the backend sends it. */
function notify(
  notification: unknown,
  { id = `msg_${randomUUID()}`, secret = NEW, url = ism.url } = {},
): Promise<Answer> {
  const body = JSON.stringify(notification)
  return post(body, signedHeaders(secret, id, body), url)
}

async function accepted(notification: unknown, options?: Parameters<typeof notify>[1]) {
  const { status, body } = await notify(notification, options)
  expect(status, JSON.stringify(body)).toBe(200)
  return body
}

const eventsOf = async (id: string) => {
  const { rows } = await ism.sql.query('select seq, recipients from event where type = 8 and message_id = $1', [id])
  return rows
}

describe('what people get', () => {
  it('an event on every device and every node, the same in a replay and by REST', async () => {
    const [url = '', otherUrl = ''] = nodes
    const streams = await Promise.all(
      [alice, alice.at(otherUrl), bob.at(url), bob.at(otherUrl)].map((who) => who.stream()),
    )
    const since = streams[0]?.lastEventId ?? ''
    const id = randomUUID()
    const message = { text: 'Tea 🤗', deep: [{ a: null, b: [] }], '': 1.5e-7 }
    const createdAt = '2026-02-03T04:05:06.789123+01:00'
    const answer = await accepted({ id, toUsers: [alice.id, bob.id.toUpperCase(), alice.id], message, createdAt })
    expect(answer).toEqual({ id, seq: expect.any(Number), recipients: 2, unknownUsers: [] })
    const wanted = {
      type: 'SystemMessage',
      message,
      notificationId: id,
      sentAt: '2026-02-03T03:05:06.789Z',
      createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
      seq: answer.seq,
      eventId: expect.any(String),
    }
    for (const stream of streams) expect(await stream.next(({ seq }) => seq === answer.seq)).toEqual(wanted)

    const replay = await alice.stream(since)
    expect(await replay.next(({ seq }) => seq === answer.seq)).toEqual(wanted)
    expect((await alice.get(`${PATH}?lastEventId=${since}`)).body).toEqual([wanted])
    for (const stream of [...streams, replay]) {
      expect(stream.events.filter(({ notificationId }) => notificationId === id)).toHaveLength(1)
      stream.close()
    }
  })

  it('once more from the database, where memory no longer has it', async () => {
    const small = await ism.anotherNode({ log: { ...ism.config.log, memoryBytes: 1 } })
    const at = `http://127.0.0.1:${small.address.port}`
    const before = await bob.at(at).stream()
    const since = before.lastEventId
    before.close()
    const { seq } = await accepted({ toUsers: [alice.id, bob.id], message: 'long ago' })
    const stream = await bob.at(at).stream(since)
    expect(await stream.next((event) => event.seq === seq)).toMatchObject({ message: 'long ago' })
    stream.close()
    await small.close()
  })

  it.each([
    ['null', null],
    ['a number', 0],
    ['a text', ''],
    ['a list', [1, [2]]],
    ['an object', {}],
  ])('%s, as any JSON', async (_, message) => {
    const { seq } = await accepted({ toUsers: [bob.id], message })
    const { body } = await bob.get(`${PATH}?timestamp=2020-01-01T00:00:00Z`)
    expect(body.find((event: { seq: number }) => event.seq === seq)).toMatchObject({ message, sentAt: null })
  })

  it.each(['9007199254740991', '-9007199254740991', '0.1', '1.5e-7', '1e15', '-0.25'])(
    'a number as it was written, which a double holds: %s',
    async (number) => {
      const body = `{"toUsers":["${bob.id}"],"message":{"number":${number}}}`
      const answer = await post(body, signedHeaders(NEW, randomUUID(), body))
      const { rows } = await ism.sql.query('select body from event where message_id = $1', [answer.body.id])
      expect(JSON.parse(rows[0].body).message).toEqual({ number: Number(number) })
    },
  )

  it.each([
    ['12345678901234567890', '{"order":{"id":NUMBER}}', 'message.order.id'],
    ['9007199254740993', '[0,[NUMBER]]', 'message.1.0'],
    ['9007199254740992', 'NUMBER', 'message'],
    ['-9007199254740993', '{"a":NUMBER}', 'message.a'],
    ['1e400', '{"a":NUMBER}', 'message.a'],
  ])('is refused where a number would be another one: %s in %s', async (number, message, path) => {
    const body = `{"toUsers":["${bob.id}"],"message":${message.replace('NUMBER', number)}}`
    expectRefusal(
      await post(body, signedHeaders(NEW, randomUUID(), body)),
      'VALIDATION_ERROR',
      `${path}: must be between ±9007199254740991; send it as a text`,
    )
  })

  it('is refused where a field of it would be dropped', async () => {
    const body = `{"toUsers":["${bob.id}"],"message":{"a":{"__proto__":{"b":1}}}}`
    const answer = await post(body, signedHeaders(NEW, randomUUID(), body))
    expectRefusal(answer, 'VALIDATION_ERROR', 'A field may not be named __proto__.')
  })

  it('goes to the users that ISM knows, and names the others', async () => {
    const [stranger, gone] = [randomUUID(), (await ism.people('gone'))[0]]
    await ism.sql.query('update app_user set deleted_at = now() where id = $1', [gone.id])
    const answer = await accepted({ toUsers: [gone.id, bob.id, stranger], message: 1 })
    expect(answer).toMatchObject({ recipients: 1, unknownUsers: [gone.id, stranger] })
    expect(await eventsOf(answer.id)).toEqual([{ seq: String(answer.seq), recipients: [bob.id] }])
  })

  it('nobody gets anything where none is known', async () => {
    const [id, stranger] = [randomUUID(), randomUUID()]
    const answer = await accepted({ id, toUsers: [stranger], message: 1 })
    expect(answer).toEqual({ id, seq: null, recipients: 0, unknownUsers: [stranger] })
    expect(await eventsOf(id)).toEqual([])
  })

  it('takes as many users and as long a message as it says, and no more', async () => {
    const users = Array.from({ length: 9_999 }, () => randomUUID())
    const longest = 'x'.repeat(64 * 1024 - 2)
    const answer = await accepted({ toUsers: [...users, bob.id], message: longest })
    expect(answer).toMatchObject({ recipients: 1, unknownUsers: users })
    expectRefusal(
      await notify({ toUsers: [...users, alice.id, bob.id], message: 1 }),
      'VALIDATION_ERROR',
      'toUsers: must NOT have more than 10000 items',
    )
    expectRefusal(
      await notify({ toUsers: [...users, bob.id, bob.id], message: 1 }),
      'VALIDATION_ERROR',
      'toUsers: must NOT have more than 10000 items',
    )
    const tooLong = await notify({ toUsers: [bob.id], message: `${longest}x` })
    expectRefusal(tooLong, 'PAYLOAD_TOO_LARGE', 'message: may have at most 65536 bytes of JSON.')
    const { body } = await alice.get(`${PATH}/cursor`)
    expect(body).toHaveProperty('lastEventId')
  })
})

describe('the same id again', () => {
  it('is the same notification, once, whoever asks how often', async () => {
    const notification = { id: randomUUID(), toUsers: [alice.id, bob.id, randomUUID()], message: { a: 1, b: [2] } }
    const first = await accepted(notification)
    const { id, toUsers } = notification
    const same = { message: { b: [2], a: 1 }, toUsers: [...toUsers].reverse(), id: id.toUpperCase() }
    expect(await accepted(same)).toEqual(first)
    expect(await eventsOf(id)).toHaveLength(1)
  })

  it('is one event where it comes many times at once, on two nodes', async () => {
    const notification = { id: randomUUID(), toUsers: [alice.id, randomUUID()], message: 'at once' }
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => accepted(notification, { url: nodes[n % 2] ?? '' })),
    )
    for (const answer of answers) expect(answer).toEqual(answers[0])
    expect(await eventsOf(notification.id)).toHaveLength(1)
  })

  it('answers as the first time, also where a user came or went since', async () => {
    const [leaving, coming] = [(await ism.people('leaving'))[0], await ism.person('coming')]
    const notification = { id: randomUUID(), toUsers: [leaving.id, coming.id], message: 1 }
    const first = await accepted(notification)
    expect(first).toMatchObject({ recipients: 1, unknownUsers: [coming.id] })
    await coming.get('/api/rooms')
    await ism.sql.query('update app_user set deleted_at = now() where id = $1', [leaving.id])
    expect(await accepted(notification)).toEqual(first)
  })

  it('with another message or other users is refused', async () => {
    const notification = { id: randomUUID(), toUsers: [alice.id], message: 1 }
    await accepted(notification)
    for (const change of [{ message: 2 }, { message: '1' }, { toUsers: [bob.id] }, { toUsers: [alice.id, bob.id] }]) {
      expectRefusal(await notify({ ...notification, ...change }), 'CONFLICT', 'id was used for another notification.')
    }
    expect(await eventsOf(notification.id)).toHaveLength(1)
  })

  it('may be the webhook-id, where the body has none', async () => {
    const notification = { toUsers: [alice.id], message: 'replayed' }
    for (const id of [randomUUID(), `msg_${randomUUID()}`, 'evt a.b']) {
      const body = JSON.stringify(notification)
      const headers = signedHeaders(OLD, id, body)
      const first = await post(body, headers)
      const triedAgain = await post(body, signedHeaders(NEW, id, body, new Date(Date.now() - 60_000)))
      for (const answer of [first, triedAgain]) {
        expect({ status: answer.status, body: answer.body }).toEqual({ status: 200, body: first.body })
      }
      expect(await eventsOf(first.body.id)).toHaveLength(1)
      expectRefusal(await notify({ ...notification, message: 'other' }, { id }), 'CONFLICT')
    }
  })
})

describe('a signed request that somebody overheard', () => {
  it.each([
    ['without an id', undefined],
    ['with an id', randomUUID()],
  ])('%s is refused on every node, and changes nothing', async (_, id) => {
    const body = JSON.stringify({ toUsers: [alice.id], message: 'overheard', id })
    const headers = signedHeaders(OLD, randomUUID(), body)
    const first = await post(body, headers)
    expect(first.status).toBe(200)
    for (const url of nodes) expectRefusal(await post(body, headers, url), 'CONFLICT', /^This very request was taken/)
    expect(await eventsOf(first.body.id)).toHaveLength(1)
  })

  it('is refused where the user has become known since, who never gets it', async () => {
    const late = await ism.person('late')
    const body = JSON.stringify({ toUsers: [late.id], message: 'before you came' })
    const headers = signedHeaders(OLD, randomUUID(), body)
    const first = await post(body, headers)
    expect(first.body).toMatchObject({ seq: null, unknownUsers: [late.id] })
    await late.get('/api/rooms')
    for (const url of nodes) expectRefusal(await post(body, headers, url), 'CONFLICT', /^This very request was taken/)
    expect(await eventsOf(first.body.id)).toEqual([])
  })

  it('is forgotten when its time has long run out', async () => {
    const body = JSON.stringify({ toUsers: [alice.id], message: 'old' })
    await post(body, signedHeaders(OLD, randomUUID(), body))
    await ism.sql.query("update received_request set received_at = received_at - interval '16 minutes'")
    const db = openDatabase(ism.config.postgres, { queryStarted() {}, connectionFailed() {} })
    await deleteOldRequests(db)
    await db.close()
    expect((await ism.sql.query('select from received_request')).rowCount).toBe(0)
  })

  it('that was refused may come again as it was', async () => {
    const body = JSON.stringify({ toUsers: [alice.id], message: 'x'.repeat(70_000) })
    const headers = signedHeaders(OLD, randomUUID(), body)
    for (const answer of [await post(body, headers), await post(body, headers)])
      expectRefusal(answer, 'PAYLOAD_TOO_LARGE')
  })
})

describe('a signature', () => {
  const body = () => JSON.stringify({ toUsers: [alice.id], message: 1 })
  const refused = (answer: Answer) => {
    expectRefusal(answer, 'UNAUTHENTICATED', 'A valid signature, or a token with the service role, is required.')
    expect(answer.headers.get('www-authenticate')).toBe('Bearer')
  }

  it('may be by any of the secrets, among others', async () => {
    for (const secret of [OLD, NEW]) expect((await notify(JSON.parse(body()), { secret })).status).toBe(200)
    const headers = signedHeaders(OLD, 'msg_several', body())
    const [wrong, asymmetric] = [
      `v1,${Buffer.alloc(32).toString('base64')}`,
      `v1a,${Buffer.alloc(64).toString('base64')}`,
    ]
    const several = [asymmetric, wrong, headers['webhook-signature'], 'nonsense'].join(' ')
    expect((await post(body(), { ...headers, 'webhook-signature': several })).status).toBe(200)
  })

  it('by another secret, of another body, id or time is refused', async () => {
    refused(await notify(JSON.parse(body()), { secret: OTHER }))
    const headers = signedHeaders(NEW, 'msg_1', body())
    refused(await post(`${body()} `, headers))
    refused(await post(body(), { ...headers, 'webhook-id': 'msg_2' }))
    refused(await post(body(), { ...headers, 'webhook-timestamp': String(Number(headers['webhook-timestamp']) + 1) }))
    const signature = headers['webhook-signature']
    for (const other of [
      '',
      'v1,',
      signature.slice(3),
      `v2,${signature.slice(3)}`,
      `${signature}A`,
      signature.slice(0, -1),
    ])
      refused(await post(body(), { ...headers, 'webhook-signature': other }))
  })

  it('without one of its three headers is refused', async () => {
    const { 'webhook-id': _, ...withoutId } = signedHeaders(NEW, 'msg_1', body())
    refused(await post(body(), withoutId))
    const { 'webhook-timestamp': _time, ...withoutTime } = signedHeaders(NEW, 'msg_1', body())
    refused(await post(body(), withoutTime))
    refused(await post(body(), {}))
  })

  it('is good for five minutes, on either side of ISM’s clock', async () => {
    const at = (seconds: number) =>
      post(body(), signedHeaders(NEW, randomUUID(), body(), new Date(Date.now() + seconds * 1_000)))
    expect((await at(-290)).status).toBe(200)
    expect((await at(290)).status).toBe(200)
    refused(await at(-310))
    refused(await at(310))
    for (const time of ['', '-1', 'now', '1e12', '99999999999999'])
      refused(await post(body(), { ...signedHeaders(NEW, 'msg_1', body()), 'webhook-timestamp': time }))
  })
})

describe('a token', () => {
  const token = (claims: object) => sign(ism.key, ism.issuer.url, { sub: randomUUID(), ...claims })
  const withToken = async (claims: object, notification: unknown = { toUsers: [alice.id], message: 1 }) =>
    post(JSON.stringify(notification), { authorization: `Bearer ${await token(claims)}` })

  it.each([
    ['the realm', { realm_access: { roles: ['user', 'notifier'] } }],
    ['the audience', { resource_access: { account: { roles: ['notifier'] } } }],
  ])('with the service role of %s may send; its user need not be known', async (_, claims) => {
    const { status, body } = await withToken(claims)
    expect(status).toBe(200)
    expect(body.id).toMatch(/^[0-9a-f-]{36}$/)
    expect((await ism.sql.query(`select from app_user where display_name like 'user-%'`)).rowCount).toBe(0)
  })

  it.each([
    ['no roles', {}],
    ['other roles', { realm_access: { roles: ['notifiers', 'admin'] } }],
    ['it in another client', { resource_access: { other: { roles: ['notifier'] } } }],
    ['roles of another form', { realm_access: 'notifier', resource_access: ['notifier'], roles: ['notifier'] }],
  ])('with %s may not', async (_, claims) => {
    expectRefusal(await withToken(claims), 'INSUFFICIENT_PERMISSIONS', 'This token may not send notifications.')
  })

  it('that is none is refused, and a user’s own says nothing of a role', async () => {
    const body = JSON.stringify({ toUsers: [alice.id], message: 1 })
    expectRefusal(await post(body, { authorization: 'Bearer x' }), 'UNAUTHENTICATED')
    expectRefusal(await post(body, { authorization: `Bearer ${alice.token}` }), 'INSUFFICIENT_PERMISSIONS')
  })

  it('does not help a signature that is wrong', async () => {
    const body = JSON.stringify({ toUsers: [alice.id], message: 1 })
    const authorization = `Bearer ${await token({ realm_access: { roles: ['notifier'] } })}`
    expectRefusal(await post(body, { ...signedHeaders(OTHER, 'msg_1', body), authorization }), 'UNAUTHENTICATED')
  })

  it('may have its roles in another claim', async () => {
    const node = await ism.anotherNode({
      webhook: { secrets: [], serviceRole: 'ism:notify', serviceRoleClaim: 'app.scope' },
    })
    const url = `http://127.0.0.1:${node.address.port}`
    const body = JSON.stringify({ toUsers: [alice.id], message: 1 })
    const status = async (claims: object) =>
      (await post(body, { authorization: `Bearer ${await token(claims)}` }, url)).status
    expect(await status({ app: { scope: 'openid ism:notify' } })).toBe(200)
    expect(await status({ app: { scope: ['ism:notify'] } })).toBe(200)
    expect(await status({ 'app.scope': ['ism:notify'] })).toBe(200)
    expect(await status({ realm_access: { roles: ['ism:notify'] } })).toBe(403)
    expect(await status({ app: { scope: 'ism:notify-all' } })).toBe(403)
    // Without secrets no signature is right.
    expectRefusal(await post(body, signedHeaders(NEW, 'msg_1', body), url), 'UNAUTHENTICATED')
    await node.close()
  })
})

describe('is refused', () => {
  const id = () => randomUUID()
  it.each<[unknown, RegExp]>([
    [null, /^body: must be object/],
    [[], /^body: must be object/],
    [{ message: 1 }, /^toUsers: is required/],
    [{ toUsers: [id()] }, /^message: is required/],
    [{ toUsers: [], message: 1 }, /^toUsers: must NOT have fewer than 1 items/],
    [{ toUsers: null, message: 1 }, /^toUsers: must be array/],
    [{ toUsers: id(), message: 1 }, /^toUsers: must be array/],
    [{ toUsers: [id(), 'bob'], message: 1 }, /^toUsers\.1: must match format "uuid"/],
    [{ toUsers: [`urn:uuid:${id()}`], message: 1 }, /^toUsers\.0: must match format "uuid"/],
    [{ toUsers: [id()], message: 1, id: 'x' }, /^id: must match format "uuid"/],
    [{ toUsers: [id()], message: 1, id: 7 }, /^id: must be string/],
    [{ toUsers: [id()], message: 1, createdAt: 'yesterday' }, /^createdAt: must match format "date-time"/],
    [{ to_user: [id()], notification: { type: 'ChatMessage' } }, /^toUsers: is required/],
  ])('%j', async (notification, message) => {
    expectRefusal(await notify(notification), 'VALIDATION_ERROR', message)
  })

  it('takes null for what may be left out, and fields that it does not know', async () => {
    await accepted({ toUsers: [alice.id], message: 1, id: null, createdAt: null, priority: 'high' })
  })

  const raw = (body: string | Uint8Array<ArrayBuffer>, headers = {}) =>
    post(body, { ...signedHeaders(NEW, 'msg_raw', body as string), ...headers })
  it('what is no JSON, no UTF-8, too deep or cannot be kept', async () => {
    expectRefusal(await raw('{"toUsers":'), 'VALIDATION_ERROR', /not valid JSON/)
    expectRefusal(await raw(''), 'VALIDATION_ERROR')
    expectRefusal(await raw('"\\u0000"'), 'VALIDATION_ERROR', /U\+0000/)
    expectRefusal(await raw('['.repeat(40) + ']'.repeat(40)), 'VALIDATION_ERROR', /32 levels/)
    expectRefusal(await raw('{}', { 'content-type': 'text/plain' }), 'UNSUPPORTED_MEDIA_TYPE')
    expectRefusal(await raw('{}', { 'content-type': 'application/x-www-form-urlencoded' }), 'UNSUPPORTED_MEDIA_TYPE')
  })

  it('a body over its limit before anything else, and the connection goes on', async () => {
    const body = JSON.stringify({ toUsers: [alice.id], message: 'x'.repeat(1024 * 1024) })
    expectRefusal(await post(body, signedHeaders(OTHER, 'msg_1', body)), 'PAYLOAD_TOO_LARGE')
    await accepted({ toUsers: [alice.id], message: 1 })
  })
})

describe('where nothing is configured', () => {
  it('there is no such call', async () => {
    const plain = await ism.anotherNode({ webhook: { secrets: [], serviceRole: undefined } })
    const url = `http://127.0.0.1:${plain.address.port}`
    const body = JSON.stringify({ toUsers: [alice.id], message: 1 })
    const answer = await post(body, signedHeaders(NEW, 'msg_1', body), url)
    expectRefusal(answer, 'METHOD_NOT_ALLOWED', 'Use GET here.')
    expect(answer.headers.get('allow')).toBe('HEAD, GET')
    await plain.close()
  })
})
