/** Pushes to Kafka: whose they are, in which partition, in order; and while Kafka is killed. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ism as command, configuredFor } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Person } from '../support/person.ts'
import { PushReceiver, pushed } from '../support/pushes.ts'
import { describeWith } from '../support/services.ts'
import { kafkaConfig, PushTopic, Topic } from '../support/topic.ts'

describeWith(['ISM_TEST_KAFKA'], 'pushes to Kafka', ({ ISM_TEST_KAFKA: address }) => {
  const PARTITIONS = 3
  let topic: Topic
  let pushes: PushTopic
  let receiver: PushReceiver
  let ism: TestIsm
  beforeAll(async () => {
    const config = kafkaConfig(address)
    topic = await Topic.create(config, 1)
    pushes = await PushTopic.create(config, PARTITIONS)
    receiver = await new PushReceiver().start()
    ism = await startIsm({
      kafka: { ...config, pushTopic: pushes.name },
      push: { http: { url: receiver.url, accessToken: undefined } },
    })
  })
  afterAll(async () => {
    await ism.stop()
    await receiver.stop()
    await pushes.drop()
    await topic.drop()
  })

  it('a person has all of theirs in one partition, in order; the other target gets the same', async () => {
    const [alice, ...others] = (await ism.people('alice', ...Array.from({ length: 30 }, (_, n) => `member ${n}`))) as [
      Person,
      ...Person[],
    ]
    const roomId = await alice.createRoom(others, 'Tea')
    for (let n = 0; n < 40; n++) await alice.send(roomId, `message ${n}`)
    await pushed(ism, 'push:kafka')
    await pushed(ism)
    const records = await pushes.read()
    const partitions = new Set<number>()
    for (const person of others) {
      const own = records.filter(({ value }) => value.to_user.includes(person.id))
      const [partition] = own.map((record) => record.partition)
      expect(new Set(own.map((record) => record.partition))).toEqual(new Set([partition]))
      partitions.add(partition ?? -1)
      expect(
        own.map(({ value: { notification } }) => notification['message']?.msgBody.text ?? notification.type),
      ).toEqual(['NewRoom', ...Array.from({ length: 40 }, (_, n) => `message ${n}`)])
      expect(own.map(({ value }) => value.notification)).toEqual(receiver.of(person))
      for (const { key, value } of own) expect(key).toBe(value.to_user[0])
    }
    // A record for each partition that somebody's pushes are in, not one for each person.
    expect(partitions.size).toBe(PARTITIONS)
    expect(records).toHaveLength(41 * PARTITIONS)
    expect(records.some(({ value }) => value.to_user.includes(alice.id))).toBe(false)
  })

  it('check-config --connect tries both', async () => {
    const [host, port] = address.split(':')
    const sections = (pushTopic: string) =>
      `[kafka_config]\nbootstrap_host = "${host}"\nbootstrap_port = ${port}\ntopic = "${topic.config.topic}"\nconsumer_group = "${topic.config.consumerGroup}"\npush_topic = "${pushTopic}"`
    const check = async (pushTopic: string, url: string) => {
      const top = `use_kafka = true\npush_notification_url = "${url}"`
      const cwd = await configuredFor(ism, { top, sections: sections(pushTopic) })
      const { stdout } = await command(['check-config', '--connect', '--json'], { cwd })
      const { checks } = JSON.parse(stdout) as { checks: { name: string; ok: boolean; detail: string }[] }
      return checks.filter(({ name }) => ['Kafka pushes', 'push receiver'].includes(name))
    }
    const before = receiver.received.length
    expect(await check(pushes.name, receiver.url)).toMatchObject([
      { name: 'Kafka pushes', ok: true, detail: `topic "${pushes.name}" has 3 partitions` },
      { name: 'push receiver', ok: true },
    ])
    expect(receiver.received).toHaveLength(before)
    expect(await check('absent', 'http://127.0.0.1:1/')).toMatchObject([
      { ok: false, detail: 'there is no topic "absent"' },
      { ok: false, detail: expect.stringMatching(/ECONNREFUSED/) },
    ])
  })

  it('where there is no topic yet all waits, and comes once there is', async () => {
    const config = kafkaConfig(address)
    const name = `${config.topic}.push`
    const own = await Topic.create(config, 1)
    const other = await startIsm({ kafka: { ...config, pushTopic: name } })
    const [alice, bob] = await other.people('alice', 'bob')
    const roomId = await alice.createRoom([bob], 'Tea')
    await alice.send(roomId, 'hello')
    await eventually('ISM says so', async () => {
      const { stores } = (await (await fetch(`${other.url}/health/ready`)).json()) as { stores: object[] }
      return stores.some((store) =>
        JSON.stringify(store).startsWith('{"name":"push:kafka","required":false,"ok":false'),
      )
    })
    const made = await PushTopic.create(config, 1)
    await pushed(other, 'push:kafka', 40_000)
    expect((await made.read()).map(({ value }) => value.to_user)).toEqual([[bob.id], [bob.id]])
    await other.stop()
    await made.drop()
    await own.drop()
  }, 60_000)
})
