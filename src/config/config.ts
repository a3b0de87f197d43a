/** What ISM runs on, judged: every value present, typed and in its unit. The only shape that the rest of ISM sees. */
import type { EventName } from '../shared/event-name.ts'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

export type Config = {
  server: ServerConfig
  postgres: PostgresConfig
  redis: RedisConfig
  messages: MessagesConfig
  objects: ObjectsConfig
  tokenIssuer: TokenIssuerConfig
  users: UsersConfig
  limits: LimitsConfig
  metrics: MetricsConfig
  log: LogConfig
  streams: StreamsConfig
  webhook: WebhookConfig
  /** Who events are posted to. */
  webhooks: WebhookReceiver[]
  push: PushConfig
  /** `undefined` where Kafka is not used. */
  kafka: KafkaConfig | undefined
}

export type ServerConfig = {
  host: string
  port: number
  logLevel: LogLevel
  /** Origins that browsers may call from, each compared exactly; empty means none. */
  corsOrigins: string[]
}

export type PostgresConfig = {
  host: string
  port: number
  user: string
  password: string
  database: string
  /** `verify` checks the server's certificate against `sslCa` or the system's authorities. */
  ssl: 'off' | 'require' | 'verify'
  /** PEM text. */
  sslCa: string | undefined
  poolSize: number
  /** Connections are shared between transactions: nothing may depend on the session. */
  transactionPooler: boolean
}

/** `url` may hold a password; `undefined`: there is no Redis. */
export type RedisConfig = { url: string | undefined }

export type MessagesConfig = { provider: 'postgres' } | CassandraConfig

export type CassandraConfig = {
  provider: 'cassandra'
  /** `host:port`, an IPv6 address in brackets. */
  contactPoints: string[]
  /** `undefined`: the one that the contact points are in. */
  localDatacenter: string | undefined
  /** A CQL identifier, in its own case. */
  keyspace: string
  /** `undefined` where the server asks for no log-in. */
  credentials: { user: string; password: string } | undefined
  consistency: Consistency
  tls: TlsConfig
  /** Replicas in each datacenter, for a keyspace that is made; `undefined`: three in the local one, or as many as it has nodes. */
  replication: Replication | undefined
  /** Make the keyspace and its tables at start. */
  initKeyspace: boolean
  /** How long a node that is killed may lose what it acknowledged. */
  settleMilliseconds: number
}

export type Consistency = 'ONE' | 'LOCAL_ONE' | 'QUORUM' | 'LOCAL_QUORUM' | 'ALL'

/** A number stands for the local datacenter. */
export type Replication = number | Record<string, number>

/** `verify` checks the server's certificate against `ca` or the system's authorities; PEM texts. */
export type TlsConfig = {
  mode: 'off' | 'require' | 'verify'
  ca: string | undefined
  cert: string | undefined
  key: string | undefined
}

export type ObjectsConfig = (DirectoryConfig | S3Config) & {
  /** First segment of `imageUrl` where there is no `publicUrl`. */
  bucket: string
  /** Without a final slash. */
  publicUrl: string | undefined
}

export type DirectoryConfig = { provider: 'directory'; directory: string }

export type S3Config = {
  provider: 's3'
  endpoint: string
  region: string
  accessKey: string
  secretKey: string
  bucket: string
  /** `<endpoint>/<bucket>/<key>` rather than `<bucket>.<endpoint>/<key>`. */
  pathStyle: boolean
  /** Make the bucket at start where it is missing. */
  createBucket: boolean
}

export type TokenIssuerConfig = {
  /** Exactly the `iss` that tokens bear. */
  issuer: string
  /** Where the provider's metadata is fetched; `<issuer>/.well-known/openid-configuration` unless configured. */
  discoveryUrl: string
  audience: string
  algorithms: string[]
  leewaySeconds: number
  /** Map a `sub` that is no UUID to a stable one instead of refusing it. */
  mapSubjects: boolean
  /** Least time between two fetches of the keys because of an unknown `kid`. */
  keyCooldownSeconds: number
  /** Take a token from the query of the stream's URL (RFC 6750, section 2.3). */
  allowQueryToken: boolean
}

export type UsersConfig = { provision: 'auto' | 'off'; nameClaim: string }

/** For each person; 0 switches a limit off. */
export type LimitsConfig = {
  sendsPerSecond: number
  sendBurst: number
  searchesPerMinute: number
  roomsPerHour: number
  uploadsPerHour: number
  ticketsPerMinute: number
}

export type MetricsConfig = {
  /** A listener of its own for `/metrics`, on `host`. */
  host: string
  port: number | undefined
  /** Serves `/metrics` on the main port to whoever bears it. */
  token: string | undefined
}

export type LogConfig = {
  retentionHours: number
  /** Sequence numbers that one partition of the log spans. */
  partitionSpan: number
  /** Newest part of the log that each node keeps in memory. */
  memoryBytes: number
}

export type StreamsConfig = {
  keepAliveSeconds: number
  /** A reader with more unsent bytes than this is disconnected and resumes from the log. */
  maxBufferedBytes: number
  maxPerUser: number
  /** Past these, a new stream is answered 503. */
  maxPerNode: number
}

/** What `POST /api/notifications` accepts; with neither secrets nor a role there is no such call. */
export type WebhookConfig = {
  /** `whsec_` and the key in base64. */
  secrets: string[]
  /** A role of tokens, not of users. */
  serviceRole: string | undefined
  /** Dots lead into objects; `undefined`: where Keycloak puts roles. */
  serviceRoleClaim: string | undefined
}

export type WebhookReceiver = {
  /** Distinct; its position is kept under it. */
  name: string
  /** May hold a secret in its path or query. */
  url: string
  /** `whsec_` and the key in base64, at least one. */
  secrets: string[]
  events: EventName[]
  /** Not only addresses of the public internet. */
  allowPrivate: boolean
  timeoutMs: number
}

export type KafkaConfig = {
  /** `host:port`, an IPv6 address in brackets. */
  brokers: string[]
  clientId: string
  tls: TlsConfig
  sasl: KafkaSasl | undefined
  /** Notifications of the backend are read from here. */
  topic: string
  /** Those of `topic` that are read; none means all. */
  partitions: number[]
  consumerGroup: string
  /** Pushes are written to here; `undefined`: none are. */
  pushTopic: string | undefined
}

export type KafkaSasl = { mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; user: string; password: string }

/** Pushes for people without a stream; they also go to Kafka where it has a topic for them. */
export type PushConfig = {
  http: PushHttpConfig | undefined
  /** What is not delivered by then is given up. */
  maxAgeMs: number
}

export type PushHttpConfig = {
  url: string
  /** Sent as a Bearer token. */
  accessToken: string | undefined
}
