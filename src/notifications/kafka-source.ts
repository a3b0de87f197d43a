/** Reads notifications from a topic as one of its consumer group, and puts what cannot be used into `<topic>.dead`. */
import { setTimeout as delay } from 'node:timers/promises'
import kafkajs from 'kafkajs'
import type { KafkaConfig } from '../config/config.ts'
import { createKafka, kafkaErrorType, reasonOf } from '../infra/kafka.ts'
import { partitionAssigner } from './kafka-assigner.ts'
import type { RecordHandler, RecordSource, Rejection, SourceRecord } from './record-source.ts'

export type KafkaObserver = {
  kafkaJoined(partitions: number[]): void
  kafkaFailed(reason: string): void
  /** How many records of the partition are still to be read. */
  kafkaLag(partition: number, records: number): void
  deadLetterLost(place: Omit<SourceRecord, 'value'>, reason: string): void
}

/** A node that was killed is missed after this, and its partitions go to the others. The least that brokers allow is 6 s. */
const SESSION_MS = 10_000
const HEARTBEAT_MS = 1_500
/** No answer to a heartbeat for this long means that there is no contact. */
const CONTACT_MS = 6_000
const RETRY_MIN_MS = 1_000
const RETRY_MAX_MS = 30_000
const STOP_MS = 3_000
/** What one fetch may bring, and so about what a backlog takes in memory, however long it is. */
const FETCH_BYTES = 4 * 1024 * 1024
const PARTITION_BYTES = 1024 * 1024
/** What is handed on at once, before the next commit. */
const CHUNK_RECORDS = 256
const CHUNK_BYTES = 512 * 1024

type KafkaRecord = SourceRecord & { key: Buffer | null; headers: kafkajs.IHeaders | undefined }

export function createKafkaSource(config: KafkaConfig, observe: KafkaObserver): RecordSource {
  return new KafkaSource(config, observe)
}

class KafkaSource implements RecordSource {
  readonly #config: KafkaConfig
  readonly #observe: KafkaObserver
  readonly #stop = new AbortController()
  readonly #whenStopped: Promise<void>
  #lastContact = Number.NEGATIVE_INFINITY
  #retryMs = RETRY_MIN_MS
  #running: Promise<void> | undefined

  constructor(config: KafkaConfig, observe: KafkaObserver) {
    this.#config = config
    this.#observe = observe
    this.#whenStopped = new Promise((resolve) => {
      this.#stop.signal.addEventListener('abort', () => resolve(), { once: true })
    })
  }

  start(handle: RecordHandler): void {
    this.#running ??= this.#run(handle)
  }

  async check(): Promise<void> {
    if (performance.now() - this.#lastContact > CONTACT_MS) throw new Error('Kafka does not answer.')
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    // Connecting to a broker that does not answer takes longer; nothing of it is used any more.
    await Promise.race([this.#running, delay(STOP_MS, undefined, { ref: false })])
  }

  get #stopped(): boolean {
    return this.#stop.signal.aborted
  }

  async #run(handle: RecordHandler): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#consume(handle)
      } catch (error) {
        this.#lastContact = Number.NEGATIVE_INFINITY
        this.#observe.kafkaFailed(reasonOf(error))
        // Spread, so that the nodes do not all come back at once.
        await this.#pause(this.#retryMs * (0.5 + Math.random()))
        this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS)
      }
    }
  }

  /** Resolves when it is stopped, rejects where the client gave up: nothing of it is used again. */
  async #consume(handle: RecordHandler): Promise<void> {
    const { consumerGroup, topic, partitions } = this.#config
    const kafka = createKafka(this.#config, { retries: 3 })
    const consumer = kafka.consumer({
      groupId: consumerGroup,
      partitionAssigners: [partitionAssigner(partitions)],
      sessionTimeout: SESSION_MS,
      rebalanceTimeout: SESSION_MS * 2,
      heartbeatInterval: HEARTBEAT_MS,
      maxWaitTimeInMs: 500,
      maxBytes: FETCH_BYTES,
      maxBytesPerPartition: PARTITION_BYTES,
      allowAutoTopicCreation: false,
      retry: { retries: 3, restartOnFailure: async () => false },
    })
    const deadLetters = new DeadLetters(kafka, `${topic}.dead`, this.#observe)
    const crashed = new Promise<never>((_, reject) => {
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
    })
    crashed.catch(() => {})
    consumer.on(consumer.events.HEARTBEAT, () => this.#contact())
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      this.#contact()
      this.#retryMs = RETRY_MIN_MS
      this.#observe.kafkaJoined(payload.memberAssignment[topic] ?? [])
    })
    try {
      await consumer.connect()
      await consumer.subscribe({ topics: [topic], fromBeginning: true })
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        eachBatch: (payload) => this.#take(payload, handle, deadLetters),
      })
      await Promise.race([crashed, this.#whenStopped])
    } finally {
      await Promise.race([Promise.allSettled([consumer.disconnect(), deadLetters.close()]), delay(STOP_MS)])
    }
  }

  /** Commits what the handler is done with, never more: what is not committed comes again. */
  async #take(payload: kafkajs.EachBatchPayload, handle: RecordHandler, deadLetters: DeadLetters): Promise<void> {
    const { batch, resolveOffset, commitOffsetsIfNecessary, uncommittedOffsets, heartbeat, isRunning, isStale } =
      payload
    for (const chunk of chunksOf(batch)) {
      if (!isRunning() || isStale() || this.#stopped) return
      await beating(heartbeat, async () => deadLetters.put(await this.#handled(chunk, handle)))
      const last = chunk.at(-1)?.offset ?? ''
      resolveOffset(last)
      await commitOffsetsIfNecessary(uncommittedOffsets())
      this.#observe.kafkaLag(batch.partition, Number(batch.highWatermark) - Number(last) - 1)
      await heartbeat()
    }
  }

  /** Until it is done or this is stopped: meanwhile the partition stays with this node. */
  async #handled(chunk: KafkaRecord[], handle: RecordHandler): Promise<Rejection<KafkaRecord>[]> {
    for (let wait = 500; ; wait = Math.min(wait * 2, RETRY_MAX_MS / 3)) {
      try {
        return await handle(chunk)
      } catch (error) {
        if (this.#stopped) throw error
        this.#observe.kafkaFailed(`records cannot be stored: ${reasonOf(error)}`)
        await this.#pause(wait)
        if (this.#stopped) throw error
      }
    }
  }

  #contact(): void {
    this.#lastContact = performance.now()
  }

  async #pause(milliseconds: number): Promise<void> {
    await delay(milliseconds, undefined, { signal: this.#stop.signal }).catch(() => {})
  }
}

function* chunksOf({ topic, partition, messages }: kafkajs.Batch): Generator<KafkaRecord[]> {
  let chunk: KafkaRecord[] = []
  let bytes = 0
  for (const { offset, timestamp, key, value, headers } of messages) {
    bytes += value?.length ?? 0
    if (chunk.length > 0 && (chunk.length === CHUNK_RECORDS || bytes > CHUNK_BYTES)) {
      yield chunk
      chunk = []
      bytes = value?.length ?? 0
    }
    chunk.push({ topic, partition, offset, timestamp, key, value, headers })
  }
  if (chunk.length > 0) yield chunk
}

/** Tells the broker meanwhile that this node lives. What that says of the group shows at the next regular heartbeat. */
async function beating<T>(heartbeat: () => Promise<void>, work: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => heartbeat().catch(() => {}), HEARTBEAT_MS)
  try {
    return await work()
  } finally {
    clearInterval(timer)
  }
}

/** Where waiting does not help: the record stays where it was, and the log of ISM says so. */
const HOPELESS = new Set([
  'MESSAGE_TOO_LARGE',
  'RECORD_LIST_TOO_LARGE',
  'INVALID_RECORD',
  'INVALID_TOPIC_EXCEPTION',
  'TOPIC_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'UNKNOWN_TOPIC_OR_PARTITION',
])

/** Connected when the first record comes; most topics never have one. */
class DeadLetters {
  readonly #kafka: kafkajs.Kafka
  readonly #topic: string
  readonly #observe: KafkaObserver
  #producer: Promise<kafkajs.Producer> | undefined

  constructor(kafka: kafkajs.Kafka, topic: string, observe: KafkaObserver) {
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
      await this.#send(producer, rejections)
    } catch (error) {
      if (!isHopeless(error)) throw error
      if (rejections.length === 1) this.#lose(rejections, error)
      else for (const rejection of rejections) await this.put([rejection])
    }
  }

  async close(): Promise<void> {
    await (await this.#producer?.catch(() => undefined))?.disconnect()
  }

  async #connect(): Promise<kafkajs.Producer> {
    const admin = this.#kafka.admin()
    await admin.connect()
    // Where ISM may not make it, or brokers do at the first record, it has to be there or comes by itself.
    await admin.createTopics({ topics: [{ topic: this.#topic }] }).catch(() => {})
    await admin.disconnect()
    const producer = this.#kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
    await producer.connect()
    return producer
  }

  async #send(producer: kafkajs.Producer, rejections: Rejection<KafkaRecord>[]): Promise<void> {
    const messages = rejections.map(({ record: { key, value, headers, topic, partition, offset }, reason }) => ({
      key,
      value,
      headers: {
        ...headers,
        'ism-reason': reason,
        'ism-topic': topic,
        'ism-partition': String(partition),
        'ism-offset': offset,
      },
    }))
    await producer.send({ topic: this.#topic, acks: -1, messages })
  }

  #lose(rejections: Rejection<KafkaRecord>[], error: unknown): void {
    for (const { record } of rejections) {
      const { topic, partition, offset, timestamp } = record
      this.#observe.deadLetterLost({ topic, partition, offset, timestamp }, reasonOf(error))
    }
  }
}

const isHopeless = (error: unknown) => HOPELESS.has(kafkaErrorType(error) ?? '')
