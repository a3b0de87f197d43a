/** Records that cannot be used, and are too large to be put aside whole. */
import { expect, it } from 'vitest'
import { createKafka } from '../../src/infra/kafka.ts'
import { startIsm } from '../support/ism.ts'
import { describeWith } from '../support/services.ts'
import { kafkaConfig, Topic } from '../support/topic.ts'

describeWith(['ISM_TEST_KAFKA'], 'a record too large for <topic>.dead', ({ ISM_TEST_KAFKA: address }) => {
  it('leaves its key, its place, its size and the reason there, and the others go there whole', async () => {
    const topic = await Topic.create(kafkaConfig(address))
    const admin = createKafka(topic.config, { retries: 3 }).admin()
    await admin.connect()
    const configEntries = [{ name: 'max.message.bytes', value: '2000' }]
    await admin.createTopics({ topics: [{ topic: `${topic.config.topic}.dead`, configEntries }], waitForLeaders: true })
    await admin.disconnect()
    const large = 'x'.repeat(50_000)
    await topic.write(['first', large, 'last'], 0, 'key')
    const server = await startIsm({ kafka: topic.config })
    await topic.drained()
    const place = (offset: number) => ({
      'ism-reason': expect.stringMatching(/not valid JSON/),
      'ism-topic': topic.config.topic,
      'ism-partition': '0',
      'ism-offset': String(offset),
    })
    expect(await topic.dead(3)).toEqual([
      { key: 'key', value: 'first', headers: place(0) },
      { key: 'key', value: null, headers: { ...place(1), 'ism-value-bytes': '50000' } },
      { key: 'key', value: 'last', headers: place(2) },
    ])
    await server.stop()
    await topic.drop()
  })
})
