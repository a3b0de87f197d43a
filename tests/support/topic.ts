/** A topic of a test file's own on the Kafka of the environment: written to, and what was put aside read back. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import kafkajs from 'kafkajs'
import type { KafkaConfig } from '../../src/config/config.ts'
import { createKafka } from '../../src/infra/kafka.ts'
import { eventually } from './eventually.ts'
import type { PushObject } from './pushes.ts'

export type DeadRecord = { value: string | null; key: string | null; headers: Record<string, string> }

export function kafkaConfig(address: string, overrides: Partial<KafkaConfig> = {}): KafkaConfig {
  const name = `ism-test-${randomUUID()}`
  return {
    brokers: [address],
    clientId: 'ism-test',
    tls: { mode: 'off', ca: undefined, cert: undefined, key: undefined },
    sasl: undefined,
    topic: name,
    partitions: [],
    consumerGroup: name,
    pushTopic: undefined,
    ...overrides,
  }
}

/** As a node's configuration file has it. */
export function kafkaSections({ brokers, topic, consumerGroup, partitions, pushTopic }: KafkaConfig) {
  const [host = '', port = ''] = (brokers[0] ?? '').split(':')
  return {
    '': { ism_url: '127.0.0.1', log_level: 'info', use_kafka: true },
    kafka_config: {
      bootstrap_host: host,
      bootstrap_port: Number(port),
      topic,
      consumer_group: consumerGroup,
      partition: partitions,
      ...(pushTopic === undefined ? {} : { push_topic: pushTopic }),
    },
  }
}

export class Topic {
  readonly config: KafkaConfig
  readonly #kafka: kafkajs.Kafka
  readonly #producer: kafkajs.Producer

  private constructor(config: KafkaConfig, kafka: kafkajs.Kafka, producer: kafkajs.Producer) {
    this.config = config
    this.#kafka = kafka
    this.#producer = producer
  }

  /** @param settings the topic's own, such as `compression.type` */
  static async create(config: KafkaConfig, partitions = 1, settings: Record<string, string> = {}): Promise<Topic> {
    const kafka = createKafka(config, { retries: 8 })
    const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
    await producer.connect()
    const topic = new Topic(config, kafka, producer)
    const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }))
    const wanted = { topic: config.topic, numPartitions: partitions, configEntries }
    await topic.#administer((admin) => admin.createTopics({ topics: [wanted], waitForLeaders: true }))
    return topic
  }

  /** Texts as they are, everything else as JSON. @returns the offsets of the first, by partition */
  async write(
    values: unknown[],
    partition?: number,
    key: string | null = null,
    compression = kafkajs.CompressionTypes.None,
  ): Promise<void> {
    const messages = values.map((value) => ({
      key,
      value: typeof value === 'string' || value === null || Buffer.isBuffer(value) ? value : JSON.stringify(value),
      ...(partition === undefined ? {} : { partition }),
    }))
    for (let from = 0; from < messages.length; from += 1_000)
      await this.#producer.send({
        topic: this.config.topic,
        acks: -1,
        compression,
        messages: messages.slice(from, from + 1_000),
      })
  }

  /** The records of the partition before this offset are gone. */
  async trim(partition: number, offset: number): Promise<void> {
    const { topic } = this.config
    const partitions = [{ partition, offset: String(offset) }]
    await this.#administer(async (admin) => {
      // So that the client knows the leaders.
      await admin.fetchTopicOffsets(topic)
      await admin.deleteTopicRecords({ topic, partitions })
    })
  }

  /** How many records the group has not committed. */
  async lag(): Promise<number> {
    return this.#administer(async (admin) => {
      const { topic, consumerGroup } = this.config
      const newest = await admin.fetchTopicOffsets(topic)
      const [read] = await admin.fetchOffsets({ groupId: consumerGroup, topics: [topic] })
      return newest.reduce((sum, { partition, high }) => {
        const offset = Number(read?.partitions.find((each) => each.partition === partition)?.offset ?? -1)
        return sum + Number(high) - Math.max(offset, 0)
      }, 0)
    })
  }

  async drained(milliseconds = 30_000): Promise<void> {
    // A Kafka that has just come back may know of no leader for a moment.
    const lag = () =>
      this.lag().catch((error: { retriable?: boolean }) => {
        if (error.retriable) return undefined
        throw error
      })
    await eventually('everything is read and committed', async () => (await lag()) === 0, milliseconds)
  }

  /** The members of the group, each with its partitions, once it has come to rest. */
  async members(): Promise<number[][]> {
    return this.#administer(async (admin) => {
      const { groups } = await admin.describeGroups([this.config.consumerGroup])
      if (groups[0]?.state !== 'Stable') return []
      return groups[0].members
        .map(({ memberAssignment }) => {
          const assignment = kafkajs.AssignerProtocol.MemberAssignment.decode(memberAssignment)?.assignment ?? {}
          return assignment[this.config.topic] ?? []
        })
        .sort((a, b) => (a[0] ?? -1) - (b[0] ?? -1))
    })
  }

  /** What `<topic>.dead` has, all of it, once it has as many different ones: a node that was killed may put one there twice. */
  async dead(count: number): Promise<DeadRecord[]> {
    const consumer = this.#kafka.consumer({ groupId: `dead-${randomUUID()}`, maxWaitTimeInMs: 100 })
    const found: DeadRecord[] = []
    const places = new Set<string>()
    const enough = new AbortController()
    await consumer.connect()
    await consumer.subscribe({ topics: [`${this.config.topic}.dead`], fromBeginning: true })
    await consumer.run({
      eachMessage: async ({ message: { key, value, headers } }) => {
        const texts = Object.entries(headers ?? {}).map(([name, text]) => [name, String(text)])
        found.push({
          key: key?.toString() ?? null,
          value: value?.toString() ?? null,
          headers: Object.fromEntries(texts),
        })
        places.add(`${headers?.['ism-partition']} ${headers?.['ism-offset']}`)
        if (places.size >= count) enough.abort()
      },
    })
    if (!enough.signal.aborted) await once(enough.signal, 'abort', { signal: AbortSignal.timeout(20_000) })
    await consumer.disconnect()
    return found
  }

  async drop(): Promise<void> {
    await this.#administer(async (admin) => {
      const topics = await admin.listTopics()
      await admin.deleteTopics({ topics: topics.filter((name) => name.startsWith(this.config.topic)) })
      await admin.deleteGroups([this.config.consumerGroup]).catch(() => {})
    })
    await this.#producer.disconnect()
  }

  #administer<T>(work: (admin: kafkajs.Admin) => Promise<T>): Promise<T> {
    return administer(this.#kafka, work)
  }
}

export type PushRecord = { partition: number; key: string | undefined; value: PushObject }

/** The topic that pushes go to, beside a test file's own. */
export class PushTopic {
  readonly name: string
  readonly #kafka: kafkajs.Kafka

  private constructor(name: string, kafka: kafkajs.Kafka) {
    this.name = name
    this.#kafka = kafka
  }

  static async create(config: KafkaConfig, partitions: number): Promise<PushTopic> {
    const topic = new PushTopic(`${config.topic}.push`, createKafka(config, { retries: 8 }))
    await topic.#administer((admin) =>
      admin.createTopics({ topics: [{ topic: topic.name, numPartitions: partitions }], waitForLeaders: true }),
    )
    return topic
  }

  /** How many records it has now. */
  async count(): Promise<number> {
    const offsets = await this.#administer((admin) => admin.fetchTopicOffsets(this.name))
    return offsets.reduce((sum, { high }) => sum + Number(high), 0)
  }

  /** All that it has now, each partition's in its order. */
  async read(): Promise<PushRecord[]> {
    const count = await this.count()
    const groupId = `push-${randomUUID()}`
    const consumer = this.#kafka.consumer({ groupId, maxWaitTimeInMs: 100 })
    const found: PushRecord[] = []
    const enough = new AbortController()
    if (count === 0) return found
    await consumer.connect()
    await consumer.subscribe({ topics: [this.name], fromBeginning: true })
    await consumer.run({
      eachMessage: async ({ partition, message: { key, value } }) => {
        found.push({ partition, key: key?.toString(), value: JSON.parse(String(value)) })
        if (found.length >= count) enough.abort()
      },
    })
    if (!enough.signal.aborted) await once(enough.signal, 'abort', { signal: AbortSignal.timeout(20_000) })
    await consumer.disconnect()
    await this.#administer((admin) => admin.deleteGroups([groupId])).catch(() => {})
    return found
  }

  async drop(): Promise<void> {
    await this.#administer((admin) => admin.deleteTopics({ topics: [this.name] })).catch(() => {})
  }

  #administer<T>(work: (admin: kafkajs.Admin) => Promise<T>): Promise<T> {
    return administer(this.#kafka, work)
  }
}

async function administer<T>(kafka: kafkajs.Kafka, work: (admin: kafkajs.Admin) => Promise<T>): Promise<T> {
  const admin = kafka.admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}
