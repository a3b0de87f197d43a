/** Puts records that cannot be used into `<topic>.dead`, each with its reason and its place. */
import kafkajs from 'kafkajs'
import { kafkaErrorType, reasonOf } from '../infra/kafka.ts'
import type { Rejection, SourceRecord } from './record-source.ts'

export type KafkaRecord = SourceRecord & { key: Buffer | null; headers: kafkajs.IHeaders | undefined }

export type DeadLetterObserver = {
  deadLetterLost(place: Omit<SourceRecord, 'value'>, reason: string): void
}

export const deadLetterTopic = (topic: string) => `${topic}.dead`

const TOO_LARGE = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'])
const NOT_ALLOWED = new Set(['TOPIC_AUTHORIZATION_FAILED', 'CLUSTER_AUTHORIZATION_FAILED'])
/** Where waiting does not help: the record stays where it was, and the log of ISM says so. */
const HOPELESS = new Set([...TOO_LARGE, ...NOT_ALLOWED, 'INVALID_RECORD', 'INVALID_TOPIC_EXCEPTION'])

/** Connected when the first record comes; most topics never have one. */
export class DeadLetters {
  readonly #kafka: kafkajs.Kafka
  readonly #topic: string
  readonly #observe: DeadLetterObserver
  #producer: Promise<kafkajs.Producer> | undefined

  constructor(kafka: kafkajs.Kafka, topic: string, observe: DeadLetterObserver) {
    this.#kafka = kafka
    this.#topic = topic
    this.#observe = observe
  }

  /** @throws Error where it may work later */
  async put(rejections: Rejection<KafkaRecord>[]): Promise<void> {
    if (rejections.length === 0) return
    this.#producer ??= this.#connect()
    const producer = await this.#producer.catch((error: unknown) => {
      this.#producer = undefined
      throw error
    })
    try {
      await this.#send(producer, rejections.map(letterOf))
    } catch (error) {
      if (!isOneOf(HOPELESS, error)) throw error
      // One of them may be the reason, for which the others need not go.
      if (rejections.length > 1) for (const rejection of rejections) await this.put([rejection])
      else await this.#putSmaller(producer, rejections, error)
    }
  }

  async close(): Promise<void> {
    await (await this.#producer?.catch(() => undefined))?.disconnect()
  }

  async #putSmaller(producer: kafkajs.Producer, rejections: Rejection<KafkaRecord>[], error: unknown): Promise<void> {
    try {
      if (!isOneOf(TOO_LARGE, error)) throw error
      await this.#send(producer, rejections.map(letterWithoutValue))
    } catch (last) {
      if (!isOneOf(HOPELESS, last)) throw last
      for (const { record } of rejections) {
        const { topic, partition, offset, timestamp } = record
        this.#observe.deadLetterLost({ topic, partition, offset, timestamp }, reasonOf(last))
      }
    }
  }

  async #connect(): Promise<kafkajs.Producer> {
    const producer = this.#kafka.producer({
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
      allowAutoTopicCreation: false,
    })
    await producer.connect()
    return producer
  }

  /** Whenever the topic is missing it is made: somebody may have deleted it. */
  async #send(producer: kafkajs.Producer, messages: kafkajs.Message[]): Promise<void> {
    const send = () => producer.send({ topic: this.#topic, acks: -1, messages })
    try {
      await send()
    } catch (error) {
      if (kafkaErrorType(error) !== 'UNKNOWN_TOPIC_OR_PARTITION') throw error
      await this.#createTopic()
      await send()
    }
  }

  /** Where ISM may not, somebody else has to: until then the topic is missing. */
  async #createTopic(): Promise<void> {
    const admin = this.#kafka.admin()
    try {
      await admin.connect()
      await admin.createTopics({ topics: [{ topic: this.#topic }] })
    } catch (error) {
      if (!isOneOf(NOT_ALLOWED, error)) throw error
    } finally {
      await admin.disconnect().catch(() => {})
    }
  }
}

function letterOf({ record, reason }: Rejection<KafkaRecord>): kafkajs.Message {
  const { key, value, headers, topic, partition, offset } = record
  const place = { 'ism-topic': topic, 'ism-partition': String(partition), 'ism-offset': offset }
  return { key, value, headers: { ...headers, 'ism-reason': reason, ...place } }
}

function letterWithoutValue(rejection: Rejection<KafkaRecord>): kafkajs.Message {
  const { value, headers, ...letter } = letterOf(rejection)
  return { ...letter, value: null, headers: { ...headers, 'ism-value-bytes': String(value?.length ?? 0) } }
}

const isOneOf = (types: Set<string>, error: unknown) => types.has(kafkaErrorType(error) ?? '')
