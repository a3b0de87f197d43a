/** While Kafka or the database is down or frozen ISM serves, and afterwards each notification is there once. */
import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { ism as command, configuredFor } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Person } from '../support/person.ts'
import { ServerProcess } from '../support/server-process.ts'
import { describeWith } from '../support/services.ts'
import { kafkaConfig, Topic } from '../support/topic.ts'

const VARIABLES = ['ISM_TEST_KAFKA', 'ISM_TEST_START_KAFKA'] as const

describeWith(VARIABLES, 'while Kafka', ({ ISM_TEST_KAFKA: address, ISM_TEST_START_KAFKA: startCommand }) => {
  const kafka = new ServerProcess('Kafka', address, startCommand)
  let topic: Topic
  let server: TestIsm
  let alice: Person
  let bob: Person
  let roomId: string
  beforeAll(async () => {
    topic = await Topic.create(kafkaConfig(address), 2)
    server = await startIsm({ kafka: topic.config })
    ;[alice, bob] = await server.people('alice', 'bob')
    roomId = await alice.createRoom([bob], 'Tea')
  })
  afterAll(async () => {
    await server.stop()
    await topic.drop()
  })

  const kafkaIsOk = async (url = server.url) => {
    const { ready, stores } = (await (await fetch(`${url}/health/ready`)).json()) as {
      ready: boolean
      stores: { name: string; ok: boolean }[]
    }
    expect(ready).toBe(true)
    return stores.find(({ name }) => name === 'kafka')?.ok
  }

  async function expectChatGoesOn(): Promise<void> {
    const stream = await bob.stream()
    const { status, body } = await alice.send(roomId, 'meanwhile')
    expect(status).toBe(200)
    await stream.next(({ message }) => message?.messageId === body.messageId)
    stream.close()
    await eventually('the node says that Kafka does not answer', async () => (await kafkaIsOk()) === false, 15_000)
    const [host, port] = address.split(':')
    const { topic: name, consumerGroup } = topic.config
    const sections = `[kafka_config]\nbootstrap_host = "${host}"\nbootstrap_port = ${port}\ntopic = "${name}"\nconsumer_group = "${consumerGroup}"`
    const cwd = await configuredFor(server, { top: 'use_kafka = true', sections })
    const { code, stdout } = await command(['status', '--json'], { cwd })
    expect({ code, kafka: JSON.parse(stdout).kafka }).toEqual({
      code: 0,
      kafka: { topic: name, consumerGroup, error: expect.stringMatching(/./) },
    })
  }

  async function expectAllOnce(): Promise<void> {
    const stream = await alice.stream()
    const tag = randomUUID()
    const messages = Array.from({ length: 20 }, (_, n) => `${tag} ${n}`)
    await topic.write(messages.map((message) => ({ toUsers: [alice.id], message })))
    await stream.until(() => stream.ofType('SystemMessage').length >= messages.length, 'all of them', 60_000)
    await topic.drained(60_000)
    const { rows } = await server.sql.query(
      `select body::jsonb ->> 'message' as message from event where type = 8 and body like '%' || $1 || '%'`,
      [tag],
    )
    expect(rows.map(({ message }) => message).sort()).toEqual([...messages].sort())
    expect(await kafkaIsOk()).toBe(true)
    stream.close()
  }

  afterEach(async () => {
    await kafka.thaw().catch(() => undefined)
    await kafka.start()
  })

  it('is killed, chat goes on, and notifications come when it is back', async () => {
    await expectAllOnce()
    await kafka.kill()
    await expectChatGoesOn()
    await kafka.start()
    await expectAllOnce()
  }, 180_000)

  it('is frozen, chat goes on, and notifications come when it wakes', async () => {
    await kafka.freeze()
    await expectChatGoesOn()
    await kafka.thaw()
    await expectAllOnce()
  }, 180_000)

  it('is down, a node starts and serves, and reads when it is there', async () => {
    await kafka.kill()
    const other = await server.anotherNode()
    const at = bob.at(`http://127.0.0.1:${other.address.port}`)
    expect((await at.get('/api/rooms')).status).toBe(200)
    expect(await kafkaIsOk(at.url)).toBe(false)
    await kafka.start()
    await eventually(
      'both nodes have a partition',
      async () => JSON.stringify(await topic.members()) === '[[0],[1]]',
      90_000,
    )
    await expectAllOnce()
    await other.close()
  }, 180_000)
})
