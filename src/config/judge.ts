/** Judges layers of raw values: either a whole Config, or every problem that they have, at once. */
import type { Config, LimitsConfig, PostgresConfig, PushConfig, WebhookConfig } from './config.ts'
import type { Judgement } from './judgement.ts'
import { judgeKafka } from './kafka.ts'
import { type Layer, type Overlaid, overlay } from './layers.ts'
import { judgeMessageStore } from './message-store.ts'
import { judgeObjectStore } from './object-store.ts'
import { readPem, warnOfUnused } from './pem.ts'
import { ConfigurationError, type Problem } from './problem.ts'
import { qualified, SECTIONS, type Section, TOP, type Values } from './schema.ts'
import { judgeTokenIssuer } from './token-issuer.ts'
import { judgeWebhooks } from './webhooks.ts'

export type Judged = {
  /** There is one exactly where there are no problems. */
  config: Config | undefined
  problems: Problem[]
  warnings: Problem[]
}

export type JudgeOptions = {
  /** What relative paths in the configuration are relative to. */
  directory: string
  /** `false` where a layer could not be read at all: then what is missing may stand there. */
  complete?: boolean
}

export function judge(layers: readonly Layer[], options: JudgeOptions): Judged {
  const overlaid = overlay(layers)
  const judgement: Judgement = { ...overlaid, values: parseValues(overlaid), warnings: [] }
  const { problems, warnings } = judgement
  const sources = layers.map((layer) => layer.source).join(', ')
  if (options.complete !== false) requireKeys(judgement, sources)
  warnOfWhatIsNotThereYet(judgement)
  const issuer = judgeTokenIssuer(judgement, options.complete !== false)
  const messages = judgeMessageStore(judgement, options.directory)
  const objects = judgeObjectStore(judgement, options.directory)
  const kafka = judgeKafka(judgement, options.directory)
  const webhook = judgeWebhook(judgement)
  const webhooks = judgeWebhooks(judgement.lists.get('webhooks'), judgement)
  const push = judgePush(judgement)
  const sslCa = readAuthorities(judgement, options.directory)
  judgePorts(judgement)
  if (problems.length > 0 || !issuer) return { config: undefined, problems, warnings }
  const { values } = judgement
  const config: Config = {
    server: {
      host: values[TOP].ism_url,
      port: values[TOP].ism_port,
      logLevel: values[TOP].log_level,
      corsOrigins: values[TOP].cors_origin,
    },
    postgres: postgres(values, sslCa),
    redis: { url: values[TOP].redis_cache_url },
    messages,
    objects,
    tokenIssuer: issuer,
    users: { provision: values.users.provision, nameClaim: values.users.name_claim },
    limits: limits(values),
    metrics: { host: values.metrics.host, port: values.metrics.port, token: values.metrics.token },
    log: {
      retentionHours: values.log.retention_hours,
      partitionSpan: values.log.partition_span,
      memoryBytes: values.log.memory_mib * 1024 * 1024,
    },
    streams: {
      keepAliveSeconds: values.streams.keep_alive,
      maxBufferedBytes: values.streams.max_buffered_kib * 1024,
      maxPerUser: values.streams.max_per_user,
      maxPerNode: values.streams.max_per_node,
    },
    webhook,
    webhooks,
    push,
    kafka,
  }
  return { config, problems, warnings }
}

/** @throws ConfigurationError with every problem */
export function requireConfig({ config, problems }: Judged): Config {
  if (!config) throw new ConfigurationError(problems)
  return config
}

function parseValues({ given, problems }: Overlaid): Values {
  const values: Record<string, Record<string, unknown>> = {}
  for (const [sectionName, section] of SECTIONS) {
    const parsed: Record<string, unknown> = {}
    for (const [keyName, key] of Object.entries(section.keys)) {
      const name = qualified(sectionName, keyName)
      const entry = given.get(name)
      const result = entry ? key.type.parse(entry.value) : { value: key.default }
      if ('value' in result) {
        parsed[keyName] = result.value
      } else {
        problems.push({ key: name, source: entry?.source ?? '', ...result, expected: key.type.expected })
      }
    }
    values[sectionName] = parsed
  }
  // Values is computed from the same table that this loop walked; holes are covered by a problem each.
  return values as unknown as Values
}

function requireKeys({ given, sections, problems }: Judgement, sources: string): void {
  for (const [name, section] of SECTIONS) {
    const source = sections.get(name)
    if (source !== undefined) {
      for (const [keyName, key] of requiredKeys(section)) {
        const missing = qualified(name, keyName)
        if (!given.has(missing)) {
          problems.push({ key: missing, source, problem: 'is missing', expected: key.type.expected })
        }
      }
    } else if (section.required) {
      const needed = requiredKeys(section).map(([keyName]) => keyName)
      const expected = `[${name}]${needed.length > 0 ? ` with ${needed.join(', ')}` : ' with issuer, or iss_host and iss_realm'}`
      problems.push({ key: name, source: sources, problem: 'is missing', expected })
    }
  }
}

const requiredKeys = (section: Section) => Object.entries(section.keys).filter(([, key]) => key.required)

function warnOfWhatIsNotThereYet({ given, warnings }: Judgement): void {
  for (const [section, { keys }] of SECTIONS) {
    for (const [name, { unused }] of Object.entries(keys)) {
      const key = qualified(section, name)
      const entry = unused && given.get(key)
      if (entry)
        warnings.push({
          key,
          source: entry.source,
          problem: 'is not used by this version',
          expected: 'it to be left out',
        })
    }
  }
}

function readAuthorities(judgement: Judgement, directory: string): string | undefined {
  const key = 'user_db_config.ssl_ca'
  if (judgement.values.user_db_config.ssl !== 'verify') warnOfUnused(judgement, key, 'ssl = "verify" beside it')
  return readPem(judgement, key, 'certificates', directory)
}

function judgePorts({ given, values, problems }: Judgement): void {
  const port = given.get('metrics.port')
  if (port && values.metrics.port !== undefined && values.metrics.port === values[TOP].ism_port) {
    problems.push({ key: 'metrics.port', source: port.source, problem: 'is also ism_port', expected: 'another port' })
  }
}

function postgres({ user_db_config: values }: Values, sslCa: string | undefined): PostgresConfig {
  return {
    host: values.db_host,
    port: values.db_port,
    user: values.db_user,
    password: values.db_password,
    database: values.db_name,
    ssl: values.ssl,
    sslCa,
    poolSize: values.pool_size,
    transactionPooler: values.transaction_pooler,
  }
}

function judgeWebhook(judgement: Judgement): WebhookConfig {
  const { secrets, service_role: serviceRole, service_role_claim: serviceRoleClaim } = judgement.values.webhook_config
  if (!serviceRole) warnOfUnused(judgement, 'webhook_config.service_role_claim', 'service_role beside it')
  return { secrets, serviceRole, serviceRoleClaim }
}

function judgePush(judgement: Judgement): PushConfig {
  const { push_notification_url: url, push_notification_access_token: accessToken } = judgement.values[TOP]
  if (!url) warnOfUnused(judgement, 'push_notification_access_token', 'push_notification_url beside it')
  if (!url && !judgement.values.kafka_config.push_topic)
    warnOfUnused(judgement, 'push_max_age_seconds', 'push_notification_url or push_topic beside it')
  return {
    http: url === undefined ? undefined : { url, accessToken },
    maxAgeMs: judgement.values[TOP].push_max_age_seconds * 1_000,
  }
}

function limits({ limits: values }: Values): LimitsConfig {
  // A bucket without room, or one that never fills, would let nobody send: either 0 switches the limit off.
  const isOff = values.sends_per_second === 0 || values.send_burst === 0
  return {
    sendsPerSecond: isOff ? 0 : values.sends_per_second,
    sendBurst: isOff ? 0 : values.send_burst,
    searchesPerMinute: values.searches_per_minute,
    roomsPerHour: values.rooms_per_hour,
    uploadsPerHour: values.uploads_per_hour,
    ticketsPerMinute: values.tickets_per_minute,
  }
}
