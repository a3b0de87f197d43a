/** Notifications in compressed batches, and one that cannot be decompressed. */
import { randomUUID } from 'node:crypto'
import kafkajs from 'kafkajs'
import { expect, it } from 'vitest'
import { createLogger } from '../../src/observability/logger.ts'
import { eventually } from '../support/eventually.ts'
import { startIsm } from '../support/ism.ts'
import { describeWith } from '../support/services.ts'
import { kafkaConfig, Topic } from '../support/topic.ts'

type LogLine = { msg: string; reason?: string; time: string }

describeWith(['ISM_TEST_KAFKA'], 'compressed notifications from Kafka', ({ ISM_TEST_KAFKA: address }) => {
  // The broker compresses what it is given, with the libraries that Java producers use.
  it.each(['gzip', 'snappy', 'lz4', 'zstd'])('are read: %s', async (compression) => {
    const topic = await Topic.create(kafkaConfig(address), 1, { 'compression.type': compression })
    const server = await startIsm({ kafka: topic.config })
    const [alice] = await server.people('alice')
    const stream = await alice.stream()
    const messages = Array.from({ length: 1_500 }, (_, n) => `${n} ${n % 50 ? 'again and again' : 'ü'.repeat(5_000)}`)
    await topic.write(messages.map((message) => ({ toUsers: [alice.id], message })))
    await topic.write(['no notification'])
    await stream.until(() => stream.ofType('SystemMessage').length === messages.length, 'all of them', 30_000)
    expect(stream.ofType('SystemMessage').map(({ message }) => message)).toEqual(messages)
    await topic.drained()
    expect(await topic.dead(1)).toMatchObject([{ value: 'no notification' }])
    await server.stop()
    await topic.drop()
  })

  it('are tried again later and later where a batch is a bomb, health says so, and go on once it is gone', async () => {
    const lines: LogLine[] = []
    const topic = await Topic.create(kafkaConfig(address), 1)
    // 200 MiB, of which no record is too large for the broker.
    const bomb = Array.from({ length: 500 }, () => 'x'.repeat(400 * 1024))
    const producer = topic.write(bomb, 0, null, kafkajs.CompressionTypes.GZIP)
    const server = await startIsm(
      { kafka: topic.config },
      createLogger('info', { write: (line) => void lines.push(JSON.parse(line)) }),
    )
    await producer
    const [alice] = await server.people('alice')
    const kafkaIsOk = async () => {
      const { stores } = (await (await fetch(`${server.url}/health/ready`)).json()) as {
        stores: { name: string; ok: boolean }[]
      }
      return stores.find(({ name }) => name === 'kafka')?.ok
    }
    const failures = () => lines.filter(({ msg }) => msg === 'notifications are not read from Kafka: trying again')
    const joins = () => lines.filter(({ msg }) => msg === 'reading notifications from Kafka')
    await eventually('it failed', async () => failures().length > 0, 20_000)
    expect(failures()[0]?.reason).toMatch(/^a gzip batch cannot be decompressed/)
    await eventually(
      'it was tried five times',
      async () => {
        expect(await kafkaIsOk()).toBe(false)
        return joins().length >= 5
      },
      90_000,
    )
    const pause = Date.parse(joins()[4]?.time ?? '') - Date.parse(failures()[3]?.time ?? '')
    // The fourth is of 8 seconds, give or take half of them. The first would be of 1.5 at most.
    expect(pause).toBeGreaterThan(3_900)

    const message = `after ${randomUUID()}`
    const stream = await alice.stream()
    await topic.trim(0, bomb.length)
    await topic.write([{ toUsers: [alice.id], message }])
    await stream.until(() => stream.ofType('SystemMessage').some((event) => event['message'] === message), 'it', 60_000)
    await eventually('health says so', async () => (await kafkaIsOk()) === true)
    await server.stop()
    await topic.drop()
  }, 180_000)
})
