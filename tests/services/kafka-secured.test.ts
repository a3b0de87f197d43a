/** Kafka over TLS, with log-in, where ISM may do what it needs and no more. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KafkaConfig } from '../../src/config/config.ts'
import { configuredFor, ism } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { PASSWORD, SecuredKafka, USER } from '../support/secured-kafka.ts'
import { ServerProcess } from '../support/server-process.ts'
import { describeWith } from '../support/services.ts'
import { Topic } from '../support/topic.ts'

const VARIABLES = ['ISM_TEST_KAFKA', 'ISM_TEST_START_KAFKA'] as const

describeWith(VARIABLES, 'a Kafka with TLS and log-in', ({ ISM_TEST_KAFKA: address, ISM_TEST_START_KAFKA: command }) => {
  let kafka: SecuredKafka
  beforeAll(async () => {
    kafka = await SecuredKafka.start(new ServerProcess('Kafka', address, command))
  }, 90_000)
  afterAll(() => kafka.stop())

  const deadOf = ({ topic }: KafkaConfig) => `${topic}.dead`

  async function kafkaIsOk({ url }: TestIsm): Promise<boolean | undefined> {
    const { stores } = (await (await fetch(`${url}/health/ready`)).json()) as {
      stores: { name: string; ok: boolean }[]
    }
    return stores.find(({ name }) => name === 'kafka')?.ok
  }

  it.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)('is read: %s', async (mechanism) => {
    const topic = await Topic.create(kafka.openConfig())
    await kafka.allow(topic.config, { [topic.config.topic]: ['READ'], [deadOf(topic.config)]: ['WRITE', 'CREATE'] })
    const server = await startIsm({ kafka: kafka.securedConfig(topic.config, mechanism) })
    const [alice] = await server.people('alice')
    const stream = await alice.stream()
    await topic.write([{ toUsers: [alice.id], message: mechanism }, 'no notification'])
    expect(await stream.next(({ type }) => type === 'SystemMessage')).toMatchObject({ message: mechanism })
    await topic.drained()
    expect(await topic.dead(1)).toMatchObject([{ value: 'no notification' }])
    expect(await kafkaIsOk(server)).toBe(true)
    await server.stop()
    await topic.drop()
  })

  describe('a record that cannot be used', () => {
    it('waits while there is no <topic>.dead and ISM may not make it; other partitions go on', async () => {
      const topic = await Topic.create(kafka.openConfig(), 2)
      await kafka.allow(topic.config, { [topic.config.topic]: ['READ'], [deadOf(topic.config)]: ['WRITE'] })
      const server = await startIsm({ kafka: kafka.securedConfig(topic.config) })
      const [alice] = await server.people('alice')
      const stream = await alice.stream()
      const messages = () => stream.ofType('SystemMessage').map(({ message }) => message)
      await topic.write(['no notification', { toUsers: [alice.id], message: 'behind it' }], 0)
      await eventually('health says so', async () => (await kafkaIsOk(server)) === false, 20_000)
      await topic.write([{ toUsers: [alice.id], message: 'beside it' }], 1)
      await stream.until(() => messages().includes('beside it'), 'the other partition', 20_000)
      await eventually('the other is committed', async () => (await topic.lag()) === 2)
      expect(await kafkaIsOk(server)).toBe(false)
      await kafka.createTopic(deadOf(topic.config))
      await topic.drained(40_000)
      expect(await topic.dead(1)).toMatchObject([{ value: 'no notification' }])
      expect(messages().sort()).toEqual(['behind it', 'beside it'])
      await eventually('health says so', async () => (await kafkaIsOk(server)) === true)
      await server.stop()
      await topic.drop()
    })

    it('has <topic>.dead made anew where somebody deleted it', async () => {
      const topic = await Topic.create(kafka.openConfig())
      await kafka.allow(topic.config, { [topic.config.topic]: ['READ'], [deadOf(topic.config)]: ['WRITE', 'CREATE'] })
      const server = await startIsm({ kafka: kafka.securedConfig(topic.config) })
      for (const value of ['one', 'another']) {
        await topic.write([value])
        await topic.drained()
        expect(await topic.dead(1)).toMatchObject([{ value }])
        await kafka.deleteTopic(deadOf(topic.config))
      }
      await server.stop()
      await topic.drop()
    })
  })

  it('is tried by check-config --connect: <topic>.dead is there, or may be made, or not', async () => {
    const topic = await Topic.create(kafka.openConfig())
    const { topic: name, consumerGroup } = topic.config
    const server = await startIsm()
    const [host, port] = (kafka.securedConfig(topic.config).brokers[0] ?? '').split(':')
    const sections = `[kafka_config]
bootstrap_host = "${host}"
bootstrap_port = ${port}
topic = "${name}"
consumer_group = "${consumerGroup}"
tls = "verify"
tls_ca = "${kafka.ca}"
sasl_mechanism = "scram-sha-512"
sasl_user = "${USER}"
sasl_password = "${PASSWORD}"
`
    const cwd = await configuredFor(server, { top: 'use_kafka = true', sections })
    const check = async () => {
      const { checks } = JSON.parse((await ism(['check-config', '--connect', '--json'], { cwd })).stdout)
      return checks.filter(({ name }: { name: string }) => name.startsWith('Kafka'))
    }
    await kafka.allow(topic.config, { [name]: ['READ'], [deadOf(topic.config)]: ['WRITE'] })
    expect(await check()).toMatchObject([
      { ok: true, detail: `topic "${name}" has 1 partition, 0 records to read as "${consumerGroup}"` },
      { ok: false, detail: expect.stringMatching(/^there is no topic ".*\.dead", and ISM may not make it/) },
    ])
    await kafka.allow(topic.config, { [deadOf(topic.config)]: ['CREATE'] })
    const mayBeMade = { ok: true, detail: `topic "${name}.dead" is not there yet, and ISM may make it` }
    expect(await check()).toMatchObject([{ ok: true }, mayBeMade])
    // Trying has not made it.
    expect(await check()).toMatchObject([{ ok: true }, mayBeMade])
    await kafka.createTopic(deadOf(topic.config))
    expect(await check()).toMatchObject([{ ok: true }, { ok: true, detail: `topic "${name}.dead" has 1 partition` }])
    await server.stop()
    await topic.drop()
  })
})
