/** Pushes to Kafka: a record is for people whose ids, as keys, belong to one partition, so that each person's order holds. */
import { setTimeout as delay } from 'node:timers/promises'
import kafkajs from 'kafkajs'
import type { KafkaConfig } from '../config/config.ts'
import type { Answer } from '../deliveries/answer.ts'
import { createKafka, kafkaErrorType, reasonOf } from '../infra/kafka.ts'
import { KAFKA, type Push, pushJson } from './push.ts'
import type { PushTarget } from './push-target.ts'

type Connection = { producer: kafkajs.Producer; recordsOf: (push: Push) => kafkajs.Message[] }

/** People whose pushes go to one partition. */
type Group = { partition: number; users: string[] }

/** These are about records, not about the topic or the brokers. */
const REFUSALS = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'INVALID_RECORD', 'CORRUPT_MESSAGE'])
const CLOSE_MS = 1_500
const ACK_TIMEOUT_MS = 10_000

export function createKafkaPushTarget(config: KafkaConfig, topic: string): PushTarget {
  let connection: Promise<Connection> | undefined
  let closed = false

  async function connect(): Promise<Connection> {
    const kafka = createKafka(config, { retries: 1 })
    const admin = kafka.admin()
    const producer = kafka.producer({
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
      allowAutoTopicCreation: false,
      maxInFlightRequests: 1,
    })
    try {
      await admin.connect()
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
      const partitions = topics[0]?.partitions.length ?? 0
      if (partitions === 0) throw new Error(`there is no topic "${topic}"`)
      await producer.connect()
      return { producer, recordsOf: createRecords(topic, partitions) }
    } catch (error) {
      void producer.disconnect().catch(() => {})
      throw error
    } finally {
      void admin.disconnect().catch(() => {})
    }
  }

  async function disconnect(): Promise<void> {
    const last = connection
    connection = undefined
    // It may be on its way to a broker that does not answer.
    const gone = last?.then(({ producer }) => producer.disconnect()).catch(() => {})
    await Promise.race([gone, delay(CLOSE_MS, undefined, { ref: false })])
  }

  async function produce(pushes: Push[]): Promise<Answer> {
    try {
      connection ??= connect()
      const { producer, recordsOf } = await connection
      await producer.send({ topic, acks: -1, timeout: ACK_TIMEOUT_MS, messages: pushes.flatMap(recordsOf) })
      return { outcome: 'accepted' }
    } catch (error) {
      const reason = reasonOf(error)
      if (REFUSALS.has(kafkaErrorType(error) ?? '')) return { outcome: 'refused', reason }
      // Another connection: the client may have given up on this one.
      void disconnect()
      return { outcome: 'unanswered', reason }
    }
  }

  return {
    name: KAFKA,
    maxPushes: 500,
    // Brokers take a mebibyte for one partition unless they are told otherwise.
    maxBytes: 512 * 1024,
    async send(pushes, signal) {
      if (closed) return { outcome: 'unanswered', reason: 'closed' }
      return new Promise((resolve) => {
        const giveUp = () => resolve({ outcome: 'unanswered', reason: 'given up' })
        signal.addEventListener('abort', giveUp)
        void produce(pushes).then((answer) => {
          signal.removeEventListener('abort', giveUp)
          resolve(answer)
        })
      })
    },
    async close() {
      closed = true
      await disconnect()
    },
  }
}

/**
 * Kafka's own clients find a record's partition from its key, by murmur2; so is a person's found from their id. A record
 * names it: the producer may know of partitions that were added since its people were put together.
 */
export function createRecords(topic: string, partitions: number): (push: Push) => kafkajs.Message[] {
  const choose = kafkajs.Partitioners.DefaultPartitioner()
  const partitionMetadata = Array.from({ length: partitions }, (_, partitionId) => {
    return { partitionErrorCode: 0, partitionId, leader: 0, replicas: [], isr: [] }
  })
  /** The people of a room get one push after another. */
  const known = new WeakMap<readonly string[], Group[]>()

  function groupsOf(users: readonly string[]): Group[] {
    const groups = new Map<number, Group>()
    for (const user of users) {
      const partition = choose({ topic, partitionMetadata, message: { key: user, value: null } })
      const group = groups.get(partition)
      if (group) group.users.push(user)
      else groups.set(partition, { partition, users: [user] })
    }
    return [...groups.values()]
  }

  return ({ users, notification }) => {
    const groups = known.get(users) ?? groupsOf(users)
    known.set(users, groups)
    return groups.map((group) => ({
      partition: group.partition,
      key: group.users[0] ?? null,
      value: pushJson({ users: group.users, notification }),
    }))
  }
}
