/** Notifications from Kafka: what people get, once, whatever is in the topic and whatever happens to nodes. */
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it, vi } from 'vitest'
import { configuredFor, ism } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { type IsmNode, Service } from '../support/node.ts'
import type { Person } from '../support/person.ts'
import { describeWith } from '../support/services.ts'
import { newSecret, signedHeaders } from '../support/signed-request.ts'
import { endProcesses } from '../support/test-process.ts'
import { kafkaConfig, kafkaSections, Topic } from '../support/topic.ts'

describeWith(['ISM_TEST_KAFKA'], 'notifications from Kafka', ({ ISM_TEST_KAFKA: address }) => {
  describe('one node', () => {
    const secret = newSecret()
    let topic: Topic
    let server: TestIsm
    let alice: Person
    let bob: Person
    beforeAll(async () => {
      topic = await Topic.create(kafkaConfig(address), 2)
      server = await startIsm({ kafka: topic.config, webhook: { secrets: [secret] } })
      ;[alice, bob] = await server.people('alice', 'bob')
    })
    afterAll(async () => {
      await server.stop()
      await topic.drop()
    })

    const events = async (message: unknown) => {
      const { rows } = await server.sql.query(
        `select seq::int, message_id as id from event where type = 8 and body::jsonb -> 'message' = $1::jsonb order by seq`,
        [JSON.stringify(message)],
      )
      return rows
    }

    it('are events for those whom they are for, in the order of their partition', async () => {
      const streams = [await alice.stream(), await alice.stream(), await bob.stream()]
      const id = randomUUID()
      const notifications = Array.from({ length: 50 }, (_, n) => ({
        toUsers: [alice.id, randomUUID()],
        message: { n },
      }))
      await topic.write([{ id, toUsers: [alice.id, bob.id], message: 'first', createdAt: '2026-01-02T03:04:05Z' }], 1)
      await topic.write(notifications, 1)
      for (const stream of streams.slice(0, 2)) {
        await stream.until(() => stream.ofType('SystemMessage').length === 51, 'all of them')
        const [first, ...others] = stream.ofType('SystemMessage')
        expect(first).toMatchObject({ message: 'first', notificationId: id, sentAt: '2026-01-02T03:04:05.000Z' })
        expect(others.map(({ message }) => message.n)).toEqual(notifications.map((_, n) => n))
      }
      const [, , bobs] = streams
      await bobs?.next(({ notificationId }) => notificationId === id)
      expect(bobs?.ofType('SystemMessage')).toHaveLength(1)
      for (const stream of streams) stream.close()
    })

    it('are one event where an id comes again: in a batch, in another partition, by webhook, by the command', async () => {
      const id = randomUUID()
      const notification = { id, toUsers: [alice.id], message: `once ${id}` }
      await topic.write([notification, notification], 0)
      await topic.write([notification, notification], 1)
      await topic.drained()
      const body = JSON.stringify(notification)
      const answer = await fetch(`${server.url}/api/notifications`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...signedHeaders(secret, 'msg_1', body) },
        body,
      })
      const cwd = await configuredFor(server)
      const command = ['send-notification', '--to', alice.id, '--message', JSON.stringify(notification.message)]
      const { stdout } = await ism([...command, '--id', id, '--json'], { cwd })
      const [event, ...more] = await events(notification.message)
      expect(more).toEqual([])
      expect(await answer.json()).toMatchObject({ id, seq: event.seq })
      expect(JSON.parse(stdout).notifications).toMatchObject([{ id, seq: event.seq, repeated: true }])
    })

    it('what cannot be used goes to <topic>.dead with its reason, and the rest goes on', async () => {
      const used = randomUUID()
      const after = `after ${used}`
      const ok = (message: unknown, more = {}) => ({ toUsers: [bob.id], message, ...more })
      const bad: [unknown, RegExp][] = [
        ['{"toUsers":', /not valid JSON/],
        ['', /not valid JSON/],
        [null, /no value/],
        ['"text"', /^body: must be object/],
        [Buffer.from([0x22, 0xff, 0x22]), /not valid UTF-8/],
        ['{"toUsers":["\\u0000"],"message":1}', /U\+0000/],
        [{ toUsers: [], message: 1 }, /fewer than 1/],
        [{ toUsers: [bob.id] }, /^message: is required/],
        [{ toUsers: ['bob'], message: 1 }, /^toUsers\.0/],
        [ok('x'.repeat(70_000)), /^message: may have at most 65536/],
        [ok('other', { id: used }), /used for another notification/],
        [`{"toUsers":["${bob.id}"],"message":[9007199254740993]}`, /^message\.0: must be between/],
        ['['.repeat(5_000), /not valid JSON/],
      ]
      await topic.write([ok('one', { id: used })], 0, 'key')
      await topic.write([...bad.map(([value]) => value), ok(after)], 0, 'key')
      await topic.drained()
      expect(await events(after)).toHaveLength(1)
      const dead = await topic.dead(bad.length)
      expect(dead).toHaveLength(bad.length)
      for (const [index, [value, reason]] of bad.entries()) {
        const text =
          typeof value === 'string' || value === null
            ? value
            : Buffer.isBuffer(value)
              ? value.toString()
              : JSON.stringify(value)
        expect(dead[index]).toEqual({
          key: 'key',
          value: text,
          headers: {
            'ism-reason': expect.stringMatching(reason),
            'ism-topic': topic.config.topic,
            'ism-partition': '0',
            'ism-offset': expect.stringMatching(/^\d+$/),
          },
        })
      }
    })

    it('pushes of ISM 0.7.9 are skipped, and what nobody is known for is no event', async () => {
      const before = Number((await server.sql.query('select count(*) from event')).rows[0].count)
      await topic.write(
        [{ to_user: [alice.id], notification: { body: 'NewRoom', created_at: '2026-01-01T00:00:00Z' } }],
        0,
      )
      await topic.write([{ toUsers: [randomUUID()], message: 1 }], 0)
      await topic.drained()
      expect(Number((await server.sql.query('select count(*) from event')).rows[0].count)).toBe(before)
    })

    it('10,000 users and a long message in one record', async () => {
      const strangers = Array.from({ length: 9_999 }, () => randomUUID())
      const message = 'x'.repeat(60_000)
      await topic.write([{ toUsers: [alice.id, ...strangers], message }], 1)
      await topic.drained()
      expect(await events(message)).toHaveLength(1)
    })

    it('wait while the database is away, and are there once when it is back', async () => {
      const superuser = new pg.Client({ ...inject('postgres'), database: 'postgres' })
      await superuser.connect()
      const { database } = server.config.postgres
      await superuser.query(`alter database ${database} allow_connections false`)
      await superuser.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [database])
      const message = `meanwhile ${randomUUID()}`
      await topic.write(Array.from({ length: 10 }, () => ({ toUsers: [alice.id], message })))
      await eventually('ISM says so', async () => (await fetch(`${server.url}/health/ready`)).status === 503)
      expect(await topic.lag()).toBe(10)
      await superuser.query(`alter database ${database} allow_connections true`)
      await superuser.end()
      await topic.drained()
      expect(await events(message)).toHaveLength(10)
      expect((await topic.members()).length).toBe(1)
    })

    it('an idle connection does not keep the node busy', async () => {
      const setTimeouts = vi.spyOn(globalThis, 'setTimeout')
      await topic.drained()
      const before = setTimeouts.mock.calls.length
      const since = performance.now()
      await eventually('a second has gone by', async () => performance.now() - since > 1_000)
      // What asks for it above is every 20 ms; kafkajs by itself would set some 900.
      expect(setTimeouts.mock.calls.length - before).toBeLessThan(200)
      setTimeouts.mockRestore()
    })

    it('/health/ready and ism status say how it is', async () => {
      await eventually('there is contact', async () => {
        const { stores } = (await (await fetch(`${server.url}/health/ready`)).json()) as { stores: object[] }
        return stores.some((store) => JSON.stringify(store).startsWith('{"name":"kafka","required":false,"ok":true'))
      })
      const { topic: name, consumerGroup } = topic.config
      const [host, port] = address.split(':')
      const sections = `[kafka_config]\nbootstrap_host = "${host}"\nbootstrap_port = ${port}\ntopic = "${name}"\nconsumer_group = "${consumerGroup}"`
      const cwd = await configuredFor(server, { top: 'use_kafka = true', sections })
      const { stdout } = await ism(['status', '--json'], { cwd })
      expect(JSON.parse(stdout).kafka).toEqual({ topic: name, consumerGroup, lag: 0 })
      expect((await ism(['status'], { cwd })).stdout).toContain(
        `kafka: topic ${name}, group ${consumerGroup}: 0 records to read\n`,
      )

      const check = async (config: string) => {
        const elsewhere = await configuredFor(server, { top: 'use_kafka = true', sections: config })
        const { checks } = JSON.parse((await ism(['check-config', '--connect', '--json'], { cwd: elsewhere })).stdout)
        return checks.find(({ name }: { name: string }) => name === 'Kafka')
      }
      expect(await check(sections)).toMatchObject({
        ok: true,
        detail: `topic "${name}" has 2 partitions, 0 records to read as "${consumerGroup}"`,
      })
      expect(await check(`${sections}\npartition = [1, 7]`)).toMatchObject({
        ok: false,
        detail: expect.stringMatching(/no partition 7$/),
      })
      expect(await check(sections.replace(name, 'absent'))).toMatchObject({
        ok: false,
        detail: 'there is no topic "absent"',
      })
      expect(await check(sections.replace(`= ${port}`, '= 1'))).toMatchObject({
        ok: false,
        detail: expect.stringMatching(/ECONNREFUSED/),
      })
      const sasl = 'sasl_mechanism = "plain"\nsasl_user = "u"\nsasl_password = "SECRET"'
      const refused = await check(`${sections}\n${sasl}`)
      expect(refused.ok).toBe(false)
      expect(JSON.stringify(refused)).not.toContain('SECRET')
    })
  })

  it('of some partitions only, where the configuration says so; two nodes that want different ones share them', async () => {
    const config = kafkaConfig(address)
    const topic = await Topic.create(config, 4)
    const server = await startIsm({ kafka: { ...config, partitions: [1] } })
    const [alice] = await server.people('alice')
    const stream = await alice.stream()
    for (const n of [0, 1, 2, 3]) await topic.write([{ toUsers: [alice.id], message: n }], n)
    await stream.next(({ message }) => message === 1)
    const other = await server.anotherNode({ kafka: { ...config, partitions: [2, 3] } })
    await stream.until(() => stream.ofType('SystemMessage').length === 3, 'those of the other node')
    expect(
      stream
        .ofType('SystemMessage')
        .map(({ message }) => message)
        .sort(),
    ).toEqual([1, 2, 3])
    await eventually('each has its own', async () => JSON.stringify(await topic.members()) === '[[1],[2,3]]')
    expect(await topic.lag()).toBe(1)
    await other.close()
    await server.stop()
    await topic.drop()
  })

  it('wait where there is no topic yet, and are read once there is', async () => {
    const config = kafkaConfig(address)
    const server = await startIsm({ kafka: config })
    const [alice] = await server.people('alice')
    const ready = (await (await fetch(`${server.url}/health/ready`)).json()) as { ready: boolean; stores: object[] }
    expect(ready.ready).toBe(true)
    expect(ready.stores).toContainEqual(expect.objectContaining({ name: 'kafka', ok: false }))
    const stream = await alice.stream()
    const topic = await Topic.create(config)
    await topic.write([{ toUsers: [alice.id], message: 'at last' }])
    await stream.until(() => stream.ofType('SystemMessage').length === 1, 'it', 40_000)
    await server.stop()
    await topic.drop()
  })

  describe('nodes that are killed', () => {
    let topic: Topic
    let service: Service
    const nodes: IsmNode[] = []
    afterEach(async () => {
      await endProcesses()
      nodes.length = 0
      await service.close()
      await topic.drop()
    })

    it('with -9, again and again in the middle of a backlog, lose and double nothing; three share the partitions', async () => {
      const [KILLS, COUNT] = [4, 12_000]
      topic = await Topic.create(kafkaConfig(address), 6)
      service = await Service.create(undefined, { sections: kafkaSections(topic.config) })
      nodes.push(...(await Promise.all([service.node(), service.node(), service.node()])))
      const [alice, bob] = (await service.people(2, nodes.slice(0, 1))) as [Person, Person]
      const stream = await alice.stream()
      // Half of them have an id, half are known by their place alone; one in a hundred is no notification.
      const records = Array.from({ length: COUNT }, (_, n) =>
        n % 100 === 99
          ? `bad ${n}`
          : { ...(n % 2 ? { id: randomUUID() } : {}), toUsers: [alice.id, bob.id], message: { n } },
      )
      const appended = async () =>
        Number((await service.sql.query('select count(*) from event where type = 8')).rows[0].count)
      const shared = () =>
        eventually(
          'three nodes have two partitions each',
          async () => JSON.stringify((await topic.members()).map(({ length }) => length)) === '[2,2,2]',
          60_000,
        )

      for (let kill = 0; kill < KILLS; kill++) {
        await shared()
        const before = await appended()
        await topic.write(records.slice((kill * COUNT) / KILLS, ((kill + 1) * COUNT) / KILLS))
        await eventually('all nodes are at it', async () => (await appended()) >= before + 300, 60_000)
        // Not the first: alice's stream is there.
        const victim = nodes[1 + (kill % 2)]
        await victim?.kill('SIGKILL')
        expect(await topic.lag()).toBeGreaterThan(0)
        await victim?.restart()
      }
      await topic.drained(120_000)
      await shared()

      const wanted = records.flatMap((record) => (typeof record === 'string' ? [] : [record.message.n]))
      await stream.until(() => stream.ofType('SystemMessage').length >= wanted.length, 'all of them', 60_000)
      const heard = stream.ofType('SystemMessage').map(({ message }) => message.n as number)
      expect([...heard].sort((a, b) => a - b)).toEqual(wanted)
      expect(await appended()).toBe(wanted.length)
      // A record may be put aside twice where a node died in between, never less than once.
      const dead = new Set((await topic.dead(COUNT / 100)).map(({ value }) => value))
      expect(dead.size).toBe(COUNT / 100)
    }, 240_000)
  })
})
