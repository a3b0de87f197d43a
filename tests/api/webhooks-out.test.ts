/** Webhooks out: what receivers of the backend's own get of each event, in which order, and whom a bad one holds back. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { Writable } from 'node:stream'
import { pino } from 'pino'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { WireEvent } from '../support/event-stream.ts'
import { eventually } from '../support/eventually.ts'
import { appendSystemMessage } from '../support/hearing.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Person } from '../support/person.ts'
import { newSecret } from '../support/signed-request.ts'
import { WebhookServer } from '../support/webhook-server.ts'

const KINDS = [
  'ChatMessage',
  'RoomChangeEvent',
  'NewRoom',
  'LeaveRoom',
  'UserReadChat',
  'FriendRequestReceived',
  'FriendRequestAccepted',
  'SystemMessage',
] as const

const all = new WebhookServer('all')
const some = new WebhookServer('some')
const flaky = new WebhookServer('flaky')
const down = new WebhookServer('down')
const hanging = new WebhookServer('hanging')
const redirecting = new WebhookServer('redirecting')
const huge = new WebhookServer('huge')
const busy = new WebhookServer('busy')
const elsewhere = new WebhookServer('elsewhere')
const hidden = new WebhookServer('hidden')
const servers = [all, some, flaky, down, hanging, redirecting, huge, busy, elsewhere, hidden]
const next = newSecret()

let ism: TestIsm
let alice: Person
let bob: Person
let carol: Person
let log = ''

beforeAll(async () => {
  await Promise.all(servers.map((server) => server.start()))
  const lines = new Writable({
    write(chunk, _, done) {
      log += chunk
      done()
    },
  })
  ism = await startIsm(
    {
      webhooks: [
        all.config([...KINDS], { secrets: [next, all.secret] }),
        some.config(['NewRoom', 'SystemMessage']),
        flaky.config(['ChatMessage']),
        down.config(['ChatMessage'], { url: `${down.http.url}?token=HIDDEN` }),
        hanging.config(['ChatMessage'], { timeoutMs: 300 }),
        redirecting.config(['ChatMessage']),
        huge.config(['ChatMessage']),
        busy.config(['ChatMessage']),
        hidden.config(['ChatMessage'], { allowPrivate: false }),
      ],
    },
    pino(lines),
  )
  await down.stop()
  ;[alice, bob, carol] = await ism.people('alice', 'bob', 'carol')
})
afterAll(async () => {
  await ism.stop()
  await Promise.all(servers.map((server) => server.stop()))
})

const ok = async (answer: Promise<{ status: number; body: unknown }>) => {
  const { status, body } = await answer
  expect({ status, body }).toMatchObject({ status: 200 })
  // biome-ignore lint/suspicious/noExplicitAny: judged by what a test expects of it
  return body as any
}
const ofType = (type: string) => (event: WireEvent) => event.type === type

describe('each kind, as those whom it is for see it in their streams', () => {
  /** What the receiver got of the event that `reader` sees because of `action`. */
  async function delivered(reader: Person, type: string, action: () => Promise<unknown>) {
    const stream = await reader.stream()
    await action()
    const event = await stream.next(ofType(type))
    stream.close()
    const message = await all.next(({ data }) => data.event.seq === event.seq, `the webhook of ${type}`)
    expect(message).toMatchObject({ type, timestamp: event.createdAt, data: { event } })
    expect(message.data.event).toEqual(event)
    expect(Object.keys(message.data)).toEqual(['event', 'roomId', 'recipients'])
    return message
  }

  test('ChatMessage: for the members of its room, without the sender’s own id of it', async () => {
    const roomId = await alice.createRoom([bob, carol], 'Cooks')
    const { data, id, received } = await delivered(bob, 'ChatMessage', () =>
      ok(alice.send(roomId, 'Hello 🤗 "quoted"', { clientMessageId: randomUUID() })),
    )
    expect(data).toMatchObject({ roomId, recipients: null })
    expect(data.event.message).toMatchObject({ msgBody: { text: 'Hello 🤗 "quoted"' }, clientMessageId: null })
    expect(id).toMatch(new RegExp(`^evt_[0-9a-f]{32}_${data.event.seq}$`))
    expect(received).toMatchObject({
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': expect.stringMatching(/^ism\/\d+\.\d+\.\d+/) },
    })
  })

  test('UserReadChat', async () => {
    const roomId = await alice.createRoom([bob, carol], 'Readers')
    await ok(alice.send(roomId, 'Read me'))
    const { data } = await delivered(alice, 'UserReadChat', () => ok(bob.post(`/api/rooms/${roomId}/mark-read`)))
    expect(data).toMatchObject({ roomId, recipients: null, event: { userId: bob.id } })
  })

  test('NewRoom of a group: for all of them at once', async () => {
    const { data } = await delivered(bob, 'NewRoom', () => alice.createRoom([bob, carol], 'Bakers'))
    expect(data.recipients?.toSorted()).toEqual([alice.id, bob.id, carol.id].toSorted())
    expect(data.roomId).toBe(data.event.room.id)
  })

  test('NewRoom of a private room: once for each of the two, who see another name', async () => {
    const [dora, emil] = await ism.people('dora', 'emil')
    const { data } = await delivered(emil, 'NewRoom', () => dora.createRoom([emil]))
    expect(data).toMatchObject({ recipients: [emil.id], event: { room: { roomName: 'dora' } } })
    const other = await all.next(({ data: { recipients } }) => recipients?.[0] === dora.id)
    expect(other.data).toMatchObject({
      recipients: [dora.id],
      roomId: data.roomId,
      event: { room: { roomName: 'emil' } },
    })
  })

  test('RoomChangeEvent and NewRoom: an invitation', async () => {
    const [dora, emil] = await ism.people('dora 2', 'emil 2')
    const roomId = await alice.createRoom([bob], 'Guests')
    const change = await delivered(alice, 'RoomChangeEvent', () =>
      ok(alice.post(`/api/rooms/${roomId}/invite/${dora.id}`)),
    )
    expect(change.data).toMatchObject({ roomId, recipients: null, event: { message: { senderId: dora.id } } })
    const { data } = await delivered(emil, 'NewRoom', () => ok(alice.post(`/api/rooms/${roomId}/invite/${emil.id}`)))
    expect(data).toMatchObject({ roomId, recipients: [emil.id] })
  })

  test('LeaveRoom', async () => {
    const roomId = await alice.createRoom([bob, carol], 'Leavers')
    const { data } = await delivered(carol, 'LeaveRoom', () => ok(carol.post(`/api/rooms/${roomId}/leave`)))
    expect(data).toMatchObject({ roomId, recipients: [carol.id] })
  })

  test('FriendRequestReceived and FriendRequestAccepted', async () => {
    const [dora, emil] = await ism.people('dora 3', 'emil 3')
    const request = await delivered(emil, 'FriendRequestReceived', () =>
      ok(dora.post(`/api/users/friends/add/${emil.id}`)),
    )
    expect(request.data).toMatchObject({ roomId: null, recipients: [emil.id], event: { fromUser: { id: dora.id } } })
    const acceptance = await delivered(dora, 'FriendRequestAccepted', () =>
      ok(emil.post(`/api/users/friends/accept-request/${dora.id}`)),
    )
    expect(acceptance.data).toMatchObject({ recipients: [dora.id], event: { fromUser: { id: emil.id } } })
  })

  test('SystemMessage: the JSON that was sent, number for number', async () => {
    const message = { n: 1.5e-7, deep: [null, { '': [] }], text: 'ä\u2028🤗' }
    const { data } = await delivered(bob, 'SystemMessage', () => appendSystemMessage(ism, [alice, bob], message))
    expect(data).toMatchObject({ roomId: null, recipients: [alice.id, bob.id], event: { message } })
  })

  test('nothing of a room’s end that is internal', async () => {
    const [dora, emil] = await ism.people('dora 4', 'emil 4')
    const roomId = await dora.createRoom([emil])
    const { data } = await delivered(dora, 'LeaveRoom', () => ok(dora.post(`/api/rooms/${roomId}/leave`)))
    expect(data.recipients?.toSorted()).toEqual([dora.id, emil.id].toSorted())
    expect(new Set(all.taken.map(({ type }) => type))).toEqual(new Set(KINDS))
  })

  test('each event once, where all is well', async () => {
    const { rows } = await ism.sql.query('select count(*)::int as count from event where type <> 9')
    const deliveries = await all.count(rows[0].count)
    expect(deliveries).toHaveLength(all.deliveries.length)
    expect(all.forged).toEqual([])
  })
})

test('a receiver gets the kinds that it named, and no others', async () => {
  const roomId = await alice.createRoom([bob], 'Quiet')
  await ok(alice.send(roomId, 'not for it'))
  await appendSystemMessage(ism, [alice], { end: true })
  await some.next(({ data }) => data.event.message?.end === true)
  expect(some.taken.some(({ data }) => data.roomId === roomId)).toBe(true)
  expect(new Set(some.taken.map(({ type }) => type))).toEqual(new Set(['NewRoom', 'SystemMessage']))
})

test('while one secret replaces another, both sign', async () => {
  await appendSystemMessage(ism, [alice], { rotation: true })
  const { received } = await all.next(({ data }) => data.event.message?.rotation === true)
  const headers = received.headers as Record<string, string>
  expect(headers['webhook-signature']?.split(' ')).toHaveLength(2)
  for (const secret of [all.secret, next]) new Webhook(secret).verify(received.body, headers)
  expect(() => new Webhook(newSecret()).verify(received.body, headers)).toThrow()
})

/** In one room, one after the other. */
async function chat(count: number, people = [alice, bob]): Promise<string[]> {
  const roomId = await alice.createRoom([bob, carol], `Chat ${randomUUID()}`)
  const ids: string[] = []
  for (let n = 0; n < count; n++) {
    const { messageId } = await ok((people[n % people.length] ?? alice).send(roomId, `message ${n}`))
    ids.push(messageId)
  }
  return ids
}
const messageIds = (server: WebhookServer, wanted: string[]) =>
  server.taken.map(({ data }) => data.event.message?.messageId).filter((id) => wanted.includes(id))
const came = (server: WebhookServer, wanted: string[], milliseconds = 15_000) =>
  eventually(
    `${wanted.length} webhooks to ${server.name}`,
    async () => messageIds(server, wanted).length === wanted.length,
    milliseconds,
  )

describe('receivers that are not well hold back nobody else', () => {
  test('one that is down gets all of it once it is back; others, sends and streams go on meanwhile', async () => {
    hanging.answering = () => new Promise<number>(() => {})
    const stream = await carol.stream()
    const wanted = await chat(50)
    await stream.until(
      () => wanted.every((id) => stream.events.some(({ message }) => message?.messageId === id)),
      'the stream',
    )
    stream.close()
    await came(all, wanted, 3_000)
    expect(messageIds(all, wanted)).toEqual(wanted)
    expect([messageIds(down, wanted), messageIds(hanging, wanted)]).toEqual([[], []])
    expect(hanging.http.received.length).toBeGreaterThan(0)
    const { rows } = await ism.sql.query(`select name, seq from projection where name ~ 'all|down'  order by name`)
    expect(Number(rows[1]?.seq)).toBeLessThan(Number(rows[0]?.seq))

    await down.start()
    await came(down, wanted, 40_000)
    expect(messageIds(down, wanted)).toEqual(wanted)
    hanging.answering = () => 204
    hanging.http.closeConnections()
    await came(hanging, wanted, 40_000)
    expect(messageIds(hanging, wanted)).toEqual(wanted)
  }, 90_000)

  test('order in a room holds where one fails now and then, by either kind of failure', async () => {
    const answered = new Map<string, number>()
    flaky.answering = ({ data }) => {
      const id = data.event.message.messageId
      const nth = (answered.get(id) ?? 0) + 1
      answered.set(id, nth)
      if (answered.size % 4 !== 0 || nth > 1) return 204
      return answered.size % 8 === 0 ? 500 : 503
    }
    const rooms = await Promise.all([chat(12), chat(12), chat(12)])
    for (const wanted of rooms) {
      await came(flaky, wanted, 40_000)
      expect(messageIds(flaky, wanted)).toEqual(wanted)
    }
    const failed = flaky.deliveries.filter(({ status }) => status >= 500)
    expect(failed.length).toBeGreaterThan(5)
    for (const { id, data } of failed) {
      const again = flaky.taken.find((delivery) => delivery.id === id)
      expect(again?.data).toEqual(data)
    }
  }, 60_000)

  test('a redirect is not followed', async () => {
    let redirects = 0
    redirecting.answering = (_, res) => {
      if (redirects++ > 1) return 204
      res.writeHead(307, { location: elsewhere.http.url }).end()
      return 307
    }
    const wanted = await chat(2)
    await came(redirecting, wanted)
    expect(redirects).toBe(4)
    expect(elsewhere.http.connections).toBe(0)
  })

  test('a huge answer is not read to its end', async () => {
    let [written, answers] = [0, 0]
    huge.answering = async (_, res) => {
      if (answers++ > 0) return 204
      res.writeHead(200)
      const piece = Buffer.alloc(64 * 1024)
      const closed = once(res, 'close')
      while (!res.destroyed && written < 512 * 1024 * 1024) {
        written += piece.length
        if (!res.write(piece)) await Promise.race([once(res, 'drain'), closed])
      }
      return 200
    }
    await came(huge, await chat(2))
    expect(written).toBeLessThan(64 * 1024 * 1024)
  })

  test('429 is heeded for as long as it says', async () => {
    const times: number[] = []
    busy.answering = (_, res) => {
      times.push(performance.now())
      if (times.length > 1) return 204
      res.writeHead(429, { 'retry-after': '3' }).end()
      return 429
    }
    await came(busy, await chat(1))
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(2_900)
  })

  test('one at a private address gets nothing, unless that is allowed', async () => {
    await came(all, await chat(1))
    await eventually('it is said', async () => /"webhook":"hidden".*its address is not public/.test(log))
    expect(hidden.http.connections).toBe(0)
  })
})

test('a node ends in time though receivers hang, and another delivers what they did not take', async () => {
  const slow = [new WebhookServer('slow one'), new WebhookServer('slow two'), new WebhookServer('slow three')]
  await Promise.all(slow.map((server) => server.start()))
  const webhooks = slow.map((server) => server.config(['ChatMessage'], { timeoutMs: 60_000 }))
  const one = await ism.anotherNode({ webhooks })
  for (const server of slow) server.answering = () => new Promise<number>(() => {})
  const wanted = await chat(2)
  await eventually('each has a request', async () => slow.every(({ http }) => http.received.length > 0))
  const started = performance.now()
  await one.close()
  expect(performance.now() - started).toBeLessThan(5_000)

  for (const server of slow) server.answering = () => 204
  const other = await ism.anotherNode({ webhooks })
  for (const server of slow) {
    await came(server, wanted)
    expect(messageIds(server, wanted)).toEqual(wanted)
  }
  await other.close()
  await Promise.all(slow.map((server) => server.stop()))
}, 60_000)

test('no secret is in the log', () => {
  expect(log).toContain('"webhook":"down"')
  for (const secret of [next, ...servers.map(({ secret }) => secret)]) {
    expect(log).not.toContain(secret.slice('whsec_'.length))
  }
  expect(log).not.toMatch(/HIDDEN|127\.0\.0\.1:\d+\/hooks/)
})

type Metric = { name: string; values: { labels: Record<string, string> }[] }

test('metrics tell of each receiver, and how far it is', async () => {
  const metrics = (await ism.app.metrics()) as unknown as Metric[]
  const labelsOf = (metric: string) => metrics.find(({ name }) => name === metric)?.values.map(({ labels }) => labels)
  const outcomes = labelsOf('ism_webhook_deliveries_total')?.map(({ name, outcome }) => `${name} ${outcome}`)
  expect(outcomes).toEqual(
    expect.arrayContaining(['all delivered', 'flaky refused', 'flaky unanswered', 'hidden unanswered']),
  )
  expect(labelsOf('ism_projection_lag')?.map(({ name }) => name)).toContain('webhook:hidden')
})
