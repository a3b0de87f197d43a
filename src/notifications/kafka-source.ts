/** Reads notifications from a topic as one of its consumer group, and has what cannot be used put aside. */
import { setTimeout as delay } from 'node:timers/promises'
import type kafkajs from 'kafkajs'
import type { KafkaConfig } from '../config/config.ts'
import { createKafka, reasonOf } from '../infra/kafka.ts'
import { registerKafkaCodecs } from '../infra/kafka-codecs.ts'
import { DeadLetters, deadLetterTopic, type KafkaRecord } from './dead-letters.ts'
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
/** A client that was in the group for this long, and then failed, had worked. */
const WORKED_MS = 60_000
const STOP_MS = 3_000
/** What one fetch may bring, however long the backlog is: as it is sent, and compressed it may be a hundred times as much. */
const FETCH_BYTES = 1024 * 1024
const PARTITION_BYTES = 256 * 1024
/** What is handed on at once, before the next commit. */
const CHUNK_RECORDS = 256
const CHUNK_BYTES = 512 * 1024

export function createKafkaSource(config: KafkaConfig, observe: KafkaObserver): RecordSource {
  registerKafkaCodecs()
  return new KafkaSource(config, observe)
}

class KafkaSource implements RecordSource {
  readonly #config: KafkaConfig
  readonly #observe: KafkaObserver
  readonly #stop = new AbortController()
  readonly #whenStopped: Promise<void>
  #lastContact = Number.NEGATIVE_INFINITY
  #joinedAt: number | undefined
  /** Being in the group is not enough: what is fetched may be what cannot be read. */
  #isReading = false
  /** Partitions whose records cannot be put aside, and how long each waited last. */
  readonly #waiting = new Map<number, number>()
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
    if (!this.#isReading) throw new Error('Nothing is read.')
    if (this.#waiting.size > 0) throw new Error(`Partitions wait: ${[...this.#waiting.keys()].join(', ')}.`)
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
        this.#isReading = false
        if (this.#joinedAt !== undefined && performance.now() - this.#joinedAt > WORKED_MS) this.#retryMs = RETRY_MIN_MS
        this.#joinedAt = undefined
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
    const deadLetters = new DeadLetters(kafka, deadLetterTopic(topic), this.#observe)
    const crashed = new Promise<never>((_, reject) => {
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
    })
    crashed.catch(() => {})
    consumer.on(consumer.events.HEARTBEAT, () => this.#contact())
    // Once what came is decompressed, too.
    consumer.on(consumer.events.FETCH, () => {
      this.#isReading = true
    })
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      this.#contact()
      this.#joinedAt ??= performance.now()
      this.#waiting.clear()
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
      const rejections = await beating(heartbeat, () => this.#handled(chunk, handle))
      if (!(await beating(heartbeat, () => this.#putAside(rejections, payload, deadLetters)))) return
      const last = chunk.at(-1)?.offset ?? ''
      resolveOffset(last)
      await commitOffsetsIfNecessary(uncommittedOffsets())
      this.#retryMs = RETRY_MIN_MS
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

  /** @returns false where it may work later: until then the partition waits, and the others go on. */
  async #putAside(
    rejections: Rejection<KafkaRecord>[],
    { batch: { partition }, pause }: kafkajs.EachBatchPayload,
    deadLetters: DeadLetters,
  ): Promise<boolean> {
    try {
      await deadLetters.put(rejections)
      this.#waiting.delete(partition)
      return true
    } catch (error) {
      const wait = Math.min((this.#waiting.get(partition) ?? RETRY_MIN_MS / 2) * 2, RETRY_MAX_MS)
      this.#waiting.set(partition, wait)
      this.#observe.kafkaFailed(`partition ${partition} waits, since a record cannot be put aside: ${reasonOf(error)}`)
      const resume = pause()
      void this.#pause(wait).then(resume)
      return false
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
