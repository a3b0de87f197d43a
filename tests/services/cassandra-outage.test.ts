/** While Cassandra is down or frozen chat goes on, and afterwards everything is where it belongs. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { archived, trimLog } from '../support/archive.ts'
import { eventually } from '../support/eventually.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { cassandraConfig, connectClient, createKeyspace, dropKeyspace, type TestKeyspace } from '../support/keyspace.ts'
import { appendMany } from '../support/many-messages.ts'
import type { Answer, Person } from '../support/person.ts'
import { expectRefusal } from '../support/refusal.ts'
import { ServerProcess } from '../support/server-process.ts'
import { describeWith } from '../support/services.ts'

const VARIABLES = ['ISM_TEST_CASSANDRA', 'ISM_TEST_START_CASSANDRA'] as const

describeWith(VARIABLES, 'Cassandra', ({ ISM_TEST_CASSANDRA: address, ISM_TEST_START_CASSANDRA: startCommand }) => {
  const server = new ServerProcess('Cassandra', address, startCommand)
  let keyspace: TestKeyspace
  let ism: TestIsm
  let alice: Person
  let bob: Person
  let old: string
  let fresh: string

  beforeAll(async () => {
    keyspace = await createKeyspace(address, { settleMilliseconds: 2_000 })
    ism = await startIsm({ messages: keyspace.config })
    ;[alice, bob] = await ism.people('alice', 'bob')
    // A room whose history is in Cassandra alone.
    old = await alice.createRoom([bob], 'Old')
    await appendMany(ism.sql, old, alice.id, 100)
    await trimLog(ism)
  })
  beforeEach(async () => {
    fresh = await alice.createRoom([bob], 'Fresh')
    for (const text of ['one', 'two', 'three']) await alice.send(fresh, text)
    await archived(ism)
  })
  afterAll(async () => {
    await ism.stop()
    await keyspace.drop()
  })

  const sendOk = async (roomId: string, text: string) => {
    const answer = await alice.send(roomId, text)
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    return answer.body
  }
  const texts = (messages: Answer['body'][]) => messages.map(({ msgBody }) => msgBody.text ?? msgBody.type)
  const rowsOf = async (roomId: string): Promise<number> => {
    const { rows } = await keyspace.client.execute('select room_id, message_id from message', [], { fetchSize: 10_000 })
    const ids = rows.filter((row) => row['room_id'].toString() === roomId).map((row) => row['message_id'].toString())
    expect(new Set(ids).size).toBe(ids.length)
    return ids.length
  }
  const timeline = (roomId: string, before = '9999-01-01T00:00:00Z') =>
    alice.get(`/api/rooms/${roomId}/timeline?timestamp=${before}`)

  async function expectChatGoesOn(): Promise<void> {
    const stream = await bob.stream()
    const started = performance.now()
    for (let n = 0; n < 20; n++) await sendOk(fresh, `meanwhile ${n}`)
    expect(performance.now() - started).toBeLessThan(2_000)
    await stream.until(() => stream.ofType('ChatMessage').length === 20, 'all that was sent')
    stream.close()
    // The log has all of the young room, archived or not; an old one it has no page of.
    expect(texts((await timeline(fresh)).body).slice(0, 2)).toEqual(['meanwhile 19', 'meanwhile 18'])
    expect(texts(await alice.timeline(fresh)).slice(-4)).toEqual(['meanwhile 0', 'three', 'two', 'one'])
    const refused = await timeline(old)
    expectRefusal(refused, 'SERVICE_UNAVAILABLE', 'Older messages are not available right now.')
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    // Whoever replies to what the log has does not notice either.
    const [, , quoted] = (await timeline(fresh)).body
    const msgBody = { replyMsgId: quoted.messageId, replyCreatedAt: quoted.createdAt, replyText: 'yes' }
    const reply = await alice.post('/api/send-msg', { chatRoomId: fresh, msgType: 'Reply', msgBody })
    expect([reply.status, reply.body.msgBody?.replyMsgDetails]).toEqual([200, { text: 'meanwhile 17' }])
    // ISM serves; of the stores that it can do without, this one is shown as down.
    const ready = await fetch(`${ism.url}/health/ready`)
    expect(ready.status).toBe(200)
    expect(await ready.json()).toMatchObject({
      ready: true,
      stores: expect.arrayContaining([expect.objectContaining({ name: 'messages', ok: false })]),
    })
  }

  async function expectEverythingArrives(): Promise<void> {
    await eventually('the archive is up to date', async () => isArchived(), 30_000)
    expect(await rowsOf(fresh)).toBe(3 + 20 + 1)
    expect(await alice.timeline(old)).toHaveLength(100)
    expect(await alice.timeline(fresh)).toHaveLength(24)
  }
  const isArchived = async () => {
    const { rowCount } = await ism.sql.query(
      `select from projection where name = 'archive' and seq >= (select max(seq) from event)`,
    )
    return rowCount === 1
  }

  describe('killed', () => {
    beforeEach(() => server.kill())
    afterEach(() => server.start())

    it('chat goes on, and everything arrives when it is back', async () => {
      await expectChatGoesOn()
      await server.start()
      await expectEverythingArrives()
    })

    it('a room that is left by all goes away once it is back', async () => {
      for (const person of [alice, bob]) expect((await person.post(`/api/rooms/${fresh}/leave`)).status).toBe(200)
      expect((await timeline(fresh)).status).toBe(404)
      await server.start()
      await eventually('the archive is up to date', async () => isArchived(), 30_000)
      expect(await rowsOf(fresh)).toBe(0)
    })

    it('a node starts without it, and makes its keyspace when it comes', async () => {
      const config = cassandraConfig(address, { initKeyspace: true })
      const other = await startIsm({ messages: config })
      const [carol, dave] = await other.people('carol', 'dave')
      const roomId = await carol.createRoom([dave], 'Two')
      for (let n = 0; n < 3; n++) expect((await carol.send(roomId, `${n}`)).status).toBe(200)
      expect(await carol.timeline(roomId)).toHaveLength(3)
      await server.start()
      await archived(other)
      expect(await carol.timeline(roomId)).toHaveLength(3)
      await other.stop()
      const client = await connectClient(address)
      await dropKeyspace(client, config.keyspace)
      await client.shutdown()
    })
  })

  describe('frozen', () => {
    beforeEach(() => server.freeze())
    afterEach(() => server.thaw())

    it('chat goes on, and everything arrives when it wakes', async () => {
      await expectChatGoesOn()
      await server.thaw()
      await expectEverythingArrives()
    })
  })
})
