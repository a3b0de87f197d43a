/** Tries what a configuration names, each on its own and timed: the stores and the token issuer. */
import type {
  CassandraConfig,
  Config,
  KafkaConfig,
  ObjectsConfig,
  TokenIssuerConfig,
  WebhookReceiver,
} from '../config/config.ts'
import { oneLine } from './error-report.ts'

export type Check = { name: string; ok: boolean; milliseconds: number; detail: string }

export async function checkConnections(config: Config): Promise<Check[]> {
  const { messages, objects, kafka, push } = config
  const pushTopic = kafka?.pushTopic
  const redisUrl = config.redis.url
  const { checkPostgres } = await import('../infra/postgres.ts')
  return Promise.all([
    timed('PostgreSQL', () => checkPostgres(config.postgres)),
    ...(messages.provider === 'cassandra' ? [timed('Cassandra', () => checkCassandra(messages))] : []),
    checkObjects(objects),
    ...(redisUrl === undefined ? [] : [timed('Redis', () => checkRedis(redisUrl))]),
    ...(kafka
      ? [timed('Kafka', () => checkKafka(kafka)), timed('Kafka dead letters', () => checkDeadLetters(kafka))]
      : []),
    ...config.webhooks.map((webhook) => timed(`webhook ${webhook.name}`, () => checkWebhook(webhook))),
    ...(kafka && pushTopic ? [timed('Kafka pushes', () => checkPushTopic(kafka, pushTopic))] : []),
    ...(push.http ? [timed('push receiver', () => checkPushReceiver(push.http?.url ?? ''))] : []),
    timed('token issuer', () => checkIssuer(config.tokenIssuer)),
  ])
}

async function checkCassandra(config: CassandraConfig): Promise<string> {
  const { checkKeyspace } = await import('../infra/cassandra-schema.ts')
  return await checkKeyspace(config)
}

async function checkRedis(url: string): Promise<string> {
  const redis = await import('../infra/redis.ts')
  return await redis.checkRedis(url)
}

async function checkKafka(config: KafkaConfig): Promise<string> {
  const kafka = await import('../infra/kafka.ts')
  return await kafka.checkKafka(config)
}

async function checkDeadLetters(config: KafkaConfig): Promise<string> {
  const [{ checkMadeTopic }, { deadLetterTopic }] = await Promise.all([
    import('../infra/kafka.ts'),
    import('../notifications/dead-letters.ts'),
  ])
  return await checkMadeTopic(config, deadLetterTopic(config.topic))
}

async function checkWebhook({ url, allowPrivate, timeoutMs }: WebhookReceiver): Promise<string> {
  const { tryReceiver } = await import('../infra/outbound-http.ts')
  await tryReceiver(url, { allowPrivate, timeoutMs })
  return 'can be connected to; nothing was posted'
}

async function checkPushTopic(config: KafkaConfig, topic: string): Promise<string> {
  const kafka = await import('../infra/kafka.ts')
  return await kafka.checkWrittenTopic(config, topic)
}

/** Connects only: there is no push that it could be sent. */
async function checkPushReceiver(url: string): Promise<string> {
  const [{ tryReceiver }, { PUSH_HTTP }] = await Promise.all([
    import('../infra/outbound-http.ts'),
    import('../push/push-target-http.ts'),
  ])
  await tryReceiver(url, PUSH_HTTP)
  return `${new URL(url).origin} takes connections; nothing was posted`
}

async function checkObjects(config: ObjectsConfig): Promise<Check> {
  const { checkBucket, checkDirectory } = await import('./object-checks.ts')
  if (config.provider === 's3') return timed('object store', () => checkBucket(config))
  return timed('object directory', () => checkDirectory(config))
}

async function timed(name: string, attempt: () => Promise<string>): Promise<Check> {
  const started = performance.now()
  const outcome = await attempt().then(
    (detail) => ({ ok: true, detail }),
    (error: unknown) => ({ ok: false, detail: oneLine(error) }),
  )
  return { name, ...outcome, milliseconds: Math.round(performance.now() - started) }
}

async function checkIssuer(config: TokenIssuerConfig): Promise<string> {
  const { fetchKeySet } = await import('../auth/provider-documents.ts')
  const { keys } = await fetchKeySet(config, new AbortController().signal)
  return `${config.issuer} has ${keys.length} ${keys.length === 1 ? 'key' : 'keys'}`
}
