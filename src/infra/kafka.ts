/** Kafka: how ISM connects to a cluster, how far a group has read a topic, and what errors mean to an operator. */
import { createRequire } from 'node:module'
import kafkajs from 'kafkajs'
import type { KafkaConfig, TlsConfig } from '../config/config.ts'

const CONNECT_TIMEOUT_MS = 3_000
/** A broker that does not answer at all is given up after this. */
const REQUEST_TIMEOUT_MS = 10_000

quietRequestQueues()

/** A client that is not connected yet. `retries`: before a call fails. */
export function createKafka(config: KafkaConfig, { retries }: { retries: number }): kafkajs.Kafka {
  const { brokers, clientId, tls, sasl } = config
  return new kafkajs.Kafka({
    clientId,
    brokers,
    connectionTimeout: CONNECT_TIMEOUT_MS,
    authenticationTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // Whole, since the library has other defaults where NODE_ENV is "test".
    retry: { initialRetryTime: 300, maxRetryTime: 3_000, factor: 0.2, multiplier: 2, retries },
    // What matters is reported by who uses the client; the rest of its words are about its inside.
    logLevel: kafkajs.logLevel.NOTHING,
    ...(tls.mode === 'off' ? {} : { ssl: tlsOptions(tls) }),
    ...(sasl && { sasl: saslOptions(sasl) }),
  })
}

function tlsOptions({ mode, ca, cert, key }: TlsConfig) {
  return {
    rejectUnauthorized: mode === 'verify',
    ...(ca === undefined ? {} : { ca: [ca] }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
  }
}

function saslOptions({ mechanism, user: username, password }: NonNullable<KafkaConfig['sasl']>): kafkajs.SASLOptions {
  switch (mechanism) {
    case 'plain':
      return { mechanism, username, password }
    case 'scram-sha-256':
      return { mechanism, username, password }
    case 'scram-sha-512':
      return { mechanism, username, password }
  }
}

type RequestQueue = { pending: unknown[]; scheduleCheckPendingRequests(): void }

/**
 * kafkajs 2.2.4 looks for waiting requests by a timer that it sets anew each time, after -1 minus the present moment,
 * which is a millisecond: some 900 wake-ups a second for each connection. Where none waits, no timer is needed.
 */
function quietRequestQueues(): void {
  const { prototype } = createRequire(import.meta.url)('kafkajs/src/network/requestQueue') as {
    prototype: RequestQueue
  }
  const schedule = prototype.scheduleCheckPendingRequests
  prototype.scheduleCheckPendingRequests = function (this: RequestQueue) {
    if (this.pending.length > 0) schedule.call(this)
  }
}

export type TopicStatus = {
  topic: string
  consumerGroup: string
  partitions: number[]
  /** How many records the group has not read yet, of the partitions that are read. */
  lag: number
}

/** @throws Error in an operator's words */
export async function readTopicStatus(config: KafkaConfig): Promise<TopicStatus> {
  const { topic, consumerGroup } = config
  return withAdmin(config, async (admin) => {
    const newest = await admin.fetchTopicOffsets(topic).catch((error: unknown) => {
      throw kafkaErrorType(error) === 'UNKNOWN_TOPIC_OR_PARTITION' ? new Error(`there is no topic "${topic}"`) : error
    })
    const partitions = newest.map(({ partition }) => partition).sort((a, b) => a - b)
    const [read] = await admin.fetchOffsets({ groupId: consumerGroup, topics: [topic] })
    const lags = newest.map(({ partition, low, high }) => {
      if (config.partitions.length > 0 && !config.partitions.includes(partition)) return 0
      const offset = Number(read?.partitions.find((each) => each.partition === partition)?.offset ?? -1)
      return Math.max(0, Number(high) - Math.max(offset, Number(low)))
    })
    return { topic, consumerGroup, partitions, lag: lags.reduce((sum, lag) => sum + lag, 0) }
  })
}

/** What a working configuration leads to, in one line. @throws Error as `readTopicStatus`, or about partitions */
export async function checkKafka(config: KafkaConfig): Promise<string> {
  const { topic, partitions, lag } = await readTopicStatus(config)
  const missing = config.partitions.filter((partition) => !partitions.includes(partition))
  if (missing.length > 0) throw new Error(`the topic "${topic}" has no partition ${missing.join(', ')}`)
  const count = `${partitions.length} ${partitions.length === 1 ? 'partition' : 'partitions'}`
  return `topic "${topic}" has ${count}, ${lag} records to read as "${config.consumerGroup}"`
}

/**
 * Whether every partition of a topic that is written to has a leader. Whether ISM may write, the first record shows.
 * @throws Error in an operator's words
 */
export async function checkWrittenTopic(config: KafkaConfig, topic: string): Promise<string> {
  return withAdmin(config, async (admin) => {
    const found = await findWrittenTopic(admin, topic)
    if (found === undefined) throw new Error(`there is no topic "${topic}"`)
    return found
  })
}

/** As `checkWrittenTopic`, of one that ISM makes when it first needs it. @throws Error, too, where it may not */
export async function checkMadeTopic(config: KafkaConfig, topic: string): Promise<string> {
  return withAdmin(config, async (admin) => {
    const found = await findWrittenTopic(admin, topic)
    if (found !== undefined) return found
    await admin.createTopics({ topics: [{ topic }], validateOnly: true, waitForLeaders: false }).catch((error) => {
      throw new Error(`there is no topic "${topic}", and ISM may not make it: ${reasonOf(error)}`, { cause: error })
    })
    return `topic "${topic}" is not there yet, and ISM may make it`
  })
}

/** @returns `undefined` where it does not exist */
async function findWrittenTopic(admin: kafkajs.Admin, topic: string): Promise<string | undefined> {
  const metadata = await admin.fetchTopicMetadata({ topics: [topic] }).catch((error: unknown) => {
    if (kafkaErrorType(error) === 'UNKNOWN_TOPIC_OR_PARTITION') return undefined
    throw error
  })
  if (!metadata) return undefined
  const partitions = metadata.topics[0]?.partitions ?? []
  const headless = partitions.filter(({ leader }) => leader < 0)
  if (headless.length > 0) throw new Error(`${headless.length} partitions of the topic "${topic}" have no leader`)
  return `topic "${topic}" has ${partitions.length} ${partitions.length === 1 ? 'partition' : 'partitions'}`
}

async function withAdmin<T>(config: KafkaConfig, work: (admin: kafkajs.Admin) => Promise<T>): Promise<T> {
  const admin = createKafka(config, { retries: 0 }).admin()
  try {
    await admin.connect()
    return await work(admin)
  } catch (error) {
    throw new Error(reasonOf(error), { cause: error })
  } finally {
    await admin.disconnect().catch(() => {})
  }
}

/** The protocol's name of what went wrong, such as UNKNOWN_TOPIC_OR_PARTITION, however deep it is wrapped. */
export function kafkaErrorType(error: unknown): string | undefined {
  for (let each = error; each instanceof Error; each = each.cause) {
    if ('type' in each && typeof each.type === 'string') return each.type
    // That of several topics, of which ISM never names more than one.
    if ('errors' in each && Array.isArray(each.errors)) return kafkaErrorType(each.errors[0])
  }
  return undefined
}

/** One line. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const reason = error.message.split('\n', 1).join() || error.name
  return kafkaErrorType(error) === 'UNKNOWN_TOPIC_OR_PARTITION' ? 'there is no such topic' : reason
}
