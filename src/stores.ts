/** The adapters that the configuration chose; those that it did not are not even loaded. */
import type {
  CassandraConfig,
  Config,
  KafkaConfig,
  MessagesConfig,
  ObjectsConfig,
  RedisConfig,
} from './config/config.ts'
import type { Queryable } from './infra/postgres.ts'
import type { WakeUpHandlers } from './log/wake-ups.ts'
import type { RedisWakeUps } from './log/wake-ups-redis.ts'
import { adoptMessageStore } from './messages/archive-target.ts'
import type { MessageStore } from './messages/message-store.ts'
import { PostgresMessageStore } from './messages/message-store-postgres.ts'
import type { RecordSource } from './notifications/record-source.ts'
import type { ObjectStore } from './objects/object-store.ts'
import type { Logger } from './observability/logger.ts'
import type { Observations } from './observability/observations.ts'
import type { PushTarget } from './push/push-target.ts'

export async function openObjectStore(config: ObjectsConfig): Promise<ObjectStore> {
  if (config.provider === 's3') {
    const { createS3ObjectStore } = await import('./objects/object-store-s3.ts')
    return createS3ObjectStore(config)
  }
  const { createDirectoryObjectStore } = await import('./objects/object-store-directory.ts')
  return createDirectoryObjectStore(config.directory)
}

/** Wake-ups over Redis, where one is configured. */
export async function openRedis(
  { url }: RedisConfig,
  epoch: string,
  handlers: WakeUpHandlers,
): Promise<RedisWakeUps | undefined> {
  if (url === undefined) return undefined
  const { openRedisWakeUps } = await import('./log/wake-ups-redis.ts')
  return openRedisWakeUps(url, epoch, handlers)
}

/** @returns `undefined` where Kafka is not used */
export async function openRecordSource(
  config: KafkaConfig | undefined,
  observe: Observations,
): Promise<RecordSource | undefined> {
  if (!config) return undefined
  const { createKafkaSource } = await import('./notifications/kafka-source.ts')
  return createKafkaSource(config, observe)
}

/** Where pushes go: nowhere, to one place, or to both. */
export async function openPushTargets({ push, kafka }: Pick<Config, 'push' | 'kafka'>): Promise<PushTarget[]> {
  const targets: PushTarget[] = []
  if (push.http) {
    const [{ createOutboundHttp }, { createHttpPushTarget, PUSH_HTTP }] = await Promise.all([
      import('./infra/outbound-http.ts'),
      import('./push/push-target-http.ts'),
    ])
    targets.push(createHttpPushTarget(push.http, createOutboundHttp(PUSH_HTTP)))
  }
  if (kafka?.pushTopic !== undefined) {
    const { createKafkaPushTarget } = await import('./push/push-target-kafka.ts')
    targets.push(createKafkaPushTarget(kafka, kafka.pushTopic))
  }
  return targets
}

type Opened<Store> = { store: Store; close(): Promise<void> }

/** A start does not wait longer than this for Cassandra to answer. */
const CASSANDRA_START_MS = 10_000

/**
 * ISM starts without Cassandra too: messages stay in the log until it answers.
 *
 * @throws Error where it answers and cannot be used, or the archive is in another store
 */
export async function openMessageStore(
  config: MessagesConfig,
  db: Queryable,
  logger: Logger,
): Promise<Opened<MessageStore>> {
  if (config.provider === 'postgres') {
    await adoptMessageStore(db, 'PostgreSQL')
    return { store: new PostgresMessageStore(db), close: async () => {} }
  }
  await adoptMessageStore(db, `Cassandra, keyspace ${config.keyspace}`)
  return openCassandra(config, logger)
}

async function openCassandra(config: CassandraConfig, logger: Logger): Promise<Opened<MessageStore>> {
  const [{ Cassandra, CassandraSetupError, reasonOf }, { openKeyspace }, { CassandraMessageStore }] = await Promise.all(
    [
      import('./infra/cassandra.ts'),
      import('./infra/cassandra-schema.ts'),
      import('./messages/message-store-cassandra.ts'),
    ],
  )
  const cassandra = new Cassandra(() => openKeyspace(config, (line) => logger.info(line)))
  try {
    await Promise.race([cassandra.connect(), rejectAfter(CASSANDRA_START_MS)])
  } catch (error) {
    if (error instanceof CassandraSetupError) {
      await cassandra.close()
      throw new Error(`Cassandra cannot be used: ${error.message}`, { cause: error })
    }
    logger.warn({ reason: reasonOf(error) }, 'Cassandra does not answer: messages stay in the log until it does')
  }
  return { store: new CassandraMessageStore(cassandra, config.settleMilliseconds), close: () => cassandra.close() }
}

const rejectAfter = (milliseconds: number) =>
  new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error(`no answer within ${milliseconds / 1_000} seconds`)), milliseconds).unref()
  })
