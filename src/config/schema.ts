/** Every key of the configuration, once: reading, judging, the reference and the template all come from this table. */

import { EVENT_NAMES } from '../shared/event-name.ts'
import type { ValueType } from './value-types.ts'
import * as type from './value-types.ts'

export type Key = {
  type: ValueType<unknown>
  doc: string
  default?: unknown
  /** Must be given where its section is. */
  required?: true
  secret?: true
  /** Other names of the same key. */
  aliases?: readonly string[]
  /** What the template shows in place of the default. */
  example?: unknown
  /** Read and judged, but this version does nothing with it. */
  unused?: true
}

export type Section = {
  doc: string
  required?: true
  /** Read and judged, but this version does nothing with it. */
  unused?: true
  keys: Readonly<Record<string, Key>>
}

/** The keys above the first `[section]` of a file. */
export const TOP = ''

const port = type.integer(1, 65_535)
const seconds = (min: number, max: number) => type.integer(min, max, 'seconds')
const limit = type.integer(0, 1_000_000)
const BUCKET = /^(?!\.+$)[A-Za-z0-9._-]{1,63}$/

export const SCHEMA = {
  [TOP]: {
    doc: 'The server itself. These keys stand above the first section.',
    keys: {
      ism_url: {
        type: type.host,
        default: '127.0.0.1',
        doc: 'Address to listen on; 0.0.0.0 is every IPv4 address, :: every address. Not localhost where IPv4 is wanted.',
      },
      ism_port: { type: type.integer(0, 65_535), default: 5403, doc: 'Port to listen on; 0 takes any free one.' },
      log_level: {
        type: type.choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
          off: 'silent',
          warning: 'warn',
        }),
        default: 'info',
        doc: 'The least severe lines that are logged: trace, debug, info, warn, error, fatal or silent.',
      },
      cors_origin: {
        type: type.list('exact origins such as "http://localhost:4200": no wildcard, path or final slash', type.origin),
        default: [],
        example: ['https://app.example.com'],
        doc: 'Origins whose pages may call ISM from a browser: one, or an array, or several with commas between them.',
      },
      use_kafka: {
        type: type.boolean,
        default: false,
        doc: 'Take notifications of your own from Kafka, and write pushes to it, as `[kafka_config]` says.',
      },
      redis_cache_url: {
        type: type.redisUrl,
        secret: true,
        example: 'redis://localhost:6379',
        doc: 'Redis 6 or newer, over which nodes wake each other; rediss:// is TLS. Without it PostgreSQL does that alone.',
      },
      push_notification_url: {
        type: type.url(['http', 'https']),
        example: 'http://localhost:8080/pushes',
        doc: 'Service of yours that gets pushes, by POST: events for people who have no stream.',
      },
      push_notification_access_token: {
        type: type.text('a text without spaces', /^\S+$/),
        secret: true,
        example: 'change-me',
        doc: 'Bearer token for `push_notification_url`.',
      },
      push_max_age_seconds: {
        type: seconds(10, 2_592_000),
        default: 3_600,
        doc: 'A push that could not be delivered for so long is given up: it is kept, counted by `ism status`, and delivered by `ism push retry`.',
      },
    },
  },
  user_db_config: {
    doc: 'PostgreSQL 15 or newer: users, rooms, messages and the event log.',
    required: true,
    keys: {
      db_host: {
        type: type.hostOrSocketDirectory,
        required: true,
        example: 'localhost',
        doc: 'Database server, or the directory of its Unix socket.',
      },
      db_port: { type: port, default: 5432, doc: 'Port of the database server.' },
      db_user: { type: type.text('a role of the database'), required: true, example: 'ism', doc: 'Role to log in as.' },
      db_password: {
        type: type.possiblyEmptyText('the password of that role, or "" where the server asks for none'),
        required: true,
        secret: true,
        example: 'change-me',
        doc: 'Password of that role; empty where the server asks for none.',
      },
      db_name: { type: type.text('a database'), required: true, example: 'ism', doc: 'Name of the database.' },
      ssl: {
        type: type.choice(['off', 'require', 'verify'], { true: 'verify', false: 'off' }),
        default: 'off',
        doc: 'TLS to the database: `require` encrypts, `verify` also checks whose certificate it is. true is `verify`, false `off`.',
      },
      ssl_ca: {
        type: type.text('the path of a PEM file'),
        example: '/etc/ism/postgres-ca.pem',
        doc: "PEM file with the authorities that `verify` trusts, in place of the system's.",
      },
      transaction_pooler: {
        type: type.boolean,
        default: false,
        doc: 'Whether a pooler such as PgBouncer hands out connections for a transaction at a time: ISM then needs no session, and polls where it would be woken.',
      },
      pool_size: {
        type: type.integer(1, 1000, 'connections'),
        default: 10,
        doc: 'Most connections that one ISM opens for requests; three more are for its own work.',
      },
    },
  },
  message_db_config: {
    doc: 'Apache Cassandra 4.1 or newer, or ScyllaDB, for messages. Without this section they are kept in PostgreSQL.',
    keys: {
      db_url: {
        type: type.list(
          'one host or several with commas between them, each with or without :port',
          type.hostAndPort(9042),
        ),
        required: true,
        example: 'localhost:9042',
        doc: 'Nodes to begin with, port 9042 unless given; the others are learnt from them.',
      },
      db_user: {
        type: type.possiblyEmptyText('a role'),
        example: 'cassandra',
        doc: 'Role to log in as; left out or empty where the server asks for no log-in.',
      },
      db_password: {
        type: type.possiblyEmptyText('the password of that role'),
        secret: true,
        example: 'change-me',
        doc: 'Password of that role.',
      },
      db_keyspace: {
        type: type.text(
          'an identifier: a letter, then at most 47 letters, digits and underscores',
          /^[A-Za-z]\w{0,47}$/,
        ),
        required: true,
        example: 'messaging',
        doc: 'Keyspace of the messages, in this very case.',
      },
      with_db_init: {
        type: type.boolean,
        default: false,
        doc: 'Make the keyspace and its tables at start, as `ism init-keyspace` does.',
      },
      local_datacenter: {
        type: type.text('the name of a datacenter', /^[\w.-]+$/),
        example: 'datacenter1',
        doc: 'Datacenter whose nodes ISM talks to; left out, the one that the nodes of `db_url` are in.',
      },
      replication: {
        type: type.replication,
        example: 'datacenter1:3',
        doc: 'Replicas of a keyspace that ISM makes: a number for the local datacenter, or a number for each. Left out: 3, or as many as the local datacenter has nodes.',
      },
      consistency: {
        type: type.choice(['ONE', 'LOCAL_ONE', 'QUORUM', 'LOCAL_QUORUM', 'ALL']),
        default: 'LOCAL_QUORUM',
        doc: 'How many replicas must answer a read or a write. Below a quorum, a page may lack a message that was just archived.',
      },
      settle_time: {
        type: seconds(0, 300),
        default: 2,
        doc: 'How long after a write ISM counts it as kept, in seconds; until then it is written again should a node go away, since one that is killed may lose what it acknowledged. A single machine that loses its power may lose 10 seconds (`commitlog_sync_period`): 12 covers that.',
      },
      tls: {
        type: type.choice(['off', 'require', 'verify'], { true: 'verify', false: 'off' }),
        default: 'off',
        doc: 'TLS to the nodes: `require` encrypts, `verify` also checks whose certificate it is. true is `verify`, false `off`.',
      },
      tls_ca: {
        type: type.text('the path of a PEM file'),
        example: '/etc/ism/cassandra-ca.pem',
        doc: "PEM file with the authorities that `verify` trusts, in place of the system's.",
      },
      tls_cert: {
        type: type.text('the path of a PEM file'),
        example: '/etc/ism/cassandra-client.pem',
        doc: 'PEM file with the certificate that ISM shows the nodes, where they ask for one.',
      },
      tls_key: {
        type: type.text('the path of a PEM file'),
        example: '/etc/ism/cassandra-client.key',
        doc: 'PEM file with the private key of `tls_cert`, without a passphrase.',
      },
    },
  },
  token_issuer: {
    doc: 'The OpenID Connect provider whose tokens ISM accepts: either iss_host and iss_realm, or issuer.',
    required: true,
    keys: {
      iss_host: {
        type: type.url(['https', 'http']),
        example: 'https://keycloak.example.com',
        doc: "Keycloak's root URL; with `iss_realm` the issuer is `<iss_host>/realms/<iss_realm>`.",
      },
      iss_realm: {
        type: type.text('the name of a realm, without spaces and slashes', /^[^\s/?#%]+$/),
        example: 'my-realm',
        doc: "Keycloak's realm.",
      },
      issuer: {
        type: type.url(['https', 'http']),
        example: 'https://login.example.com/',
        doc: 'Any other provider: exactly the `iss` of its tokens, a final slash included.',
      },
      discovery_url: {
        type: type.url(['https', 'http']),
        example: 'http://keycloak.internal:8080/realms/my-realm/.well-known/openid-configuration',
        doc:
          "Full URL of the provider's metadata document, where ISM reaches it by another name than tokens bear. " +
          'Left out: `<issuer>/.well-known/openid-configuration`.',
      },
      audience: { type: type.text('a text'), default: 'account', doc: 'What `aud` of a token must hold.' },
      algorithms: {
        type: type.list('asymmetric algorithms: RS, PS or ES with 256, 384 or 512, or EdDSA', type.signatureAlgorithm),
        default: ['RS256'],
        doc: 'Signature algorithms that tokens may use.',
      },
      clock_leeway: {
        type: seconds(0, 300),
        default: 5,
        doc: 'How far the clocks of issuer and ISM may differ, in seconds.',
      },
      map_subjects: {
        type: type.boolean,
        default: false,
        doc: 'Give a `sub` that is no UUID a stable one made from issuer and `sub`, instead of refusing the token.',
      },
      valid_admin_client: {
        type: type.possiblyEmptyText('a text'),
        unused: true,
        doc: 'A key of ISM 0.7.9.',
      },
      key_cooldown: {
        type: seconds(0, 3600),
        default: 5,
        doc: 'Least time between two fetches of the keys because of an unknown `kid`, in seconds.',
      },
      allow_query_token: {
        type: type.boolean,
        default: false,
        doc: 'Take the token from `?access_token=` of `GET /api/sse` too. URLs end up in the logs of proxies: a ticket is better.',
      },
    },
  },
  users: {
    doc: 'Where users come from.',
    keys: {
      provision: {
        type: type.choice(['auto', 'off']),
        default: 'auto',
        doc: "`auto` makes a user at a person's first call, `off` leaves all users to you and answers unknown ones 403.",
      },
      name_claim: {
        type: type.text('the name of a claim'),
        default: 'preferred_username',
        doc: 'Claim of the token that is the display name; where it is missing, `name`.',
      },
    },
  },
  objects: {
    doc: 'Pictures, kept in a directory unless [object_db_config] names an S3 server.',
    keys: {
      directory: {
        type: type.text('a path'),
        default: './ism-objects',
        doc: 'Directory of the pictures, made where missing; every ISM of one database needs the same. Relative to the working directory.',
      },
      bucket_name: {
        type: type.text('letters, digits, dots, dashes and underscores', BUCKET),
        default: 'ism',
        doc: 'First segment of `imageUrl` where there is no `public_url`.',
      },
      public_url: {
        type: type.url(['https', 'http']),
        example: 'https://chat.example.com/objects',
        doc: 'URL under which browsers reach the pictures; `imageUrl` is then this URL with the key.',
      },
    },
  },
  object_db_config: {
    doc: 'S3, or a server that speaks its protocol, for pictures; in place of the directory of [objects].',
    keys: {
      db_url: {
        type: type.url(['https', 'http']),
        aliases: ['storage_url'],
        required: true,
        example: 'http://localhost:9000',
        doc: 'Endpoint: `https://s3.<region>.amazonaws.com` for Amazon.',
      },
      db_user: {
        type: type.text('an access key'),
        aliases: ['access_key'],
        required: true,
        example: 'ism',
        doc: 'Access key.',
      },
      db_password: {
        type: type.text('a secret key'),
        aliases: ['secret_key'],
        required: true,
        secret: true,
        example: 'change-me',
        doc: 'Secret key.',
      },
      bucket_name: {
        type: type.text('letters, digits, dots, dashes and underscores', BUCKET),
        required: true,
        example: 'ism',
        doc: 'Bucket of the pictures; first segment of `imageUrl` where there is no `public_url`.',
      },
      region: {
        type: type.text('the name of a region', /^[A-Za-z0-9-]+$/),
        default: 'us-east-1',
        doc: 'Region that requests are signed for; most servers other than Amazon take any.',
      },
      path_style: {
        type: type.boolean,
        default: true,
        doc: 'Name the bucket in the path (`<db_url>/<bucket_name>/…`) instead of in the host.',
      },
      create_bucket: { type: type.boolean, default: false, doc: 'Make the bucket at start where it is missing.' },
      public_url: {
        type: type.url(['https', 'http']),
        example: 'https://chat.example.com/objects',
        doc: 'URL under which browsers reach the pictures: ISM serves them under `/objects`, or name a public bucket or a CDN before it. `imageUrl` is then this URL with the key.',
      },
    },
  },
  kafka_config: {
    doc: 'Kafka, for notifications of your own and for pushes; used where `use_kafka` is true.',
    keys: {
      bootstrap_host: { type: type.host, required: true, example: 'localhost', doc: 'Broker to begin with.' },
      bootstrap_port: { type: port, required: true, example: 9092, doc: 'Its port.' },
      brokers: {
        type: type.list(
          'one host or several with commas between them, each with or without :port',
          type.hostAndPort(9092),
        ),
        default: [],
        example: ['kafka-2:9092', 'kafka-3:9092'],
        doc: 'More brokers to begin with, port 9092 unless given; the others are learnt from them.',
      },
      topic: {
        type: type.text('a topic of at most 244 letters, digits, dots, dashes and underscores', /^[\w.-]{1,244}$/),
        required: true,
        example: 'user-notification-events',
        doc: 'Topic that notifications are read from. Records that cannot be used go to `<topic>.dead`.',
      },
      push_topic: {
        type: type.text('a topic of at most 249 letters, digits, dots, dashes and underscores', /^[\w.-]{1,249}$/),
        example: 'user-pushes',
        doc: 'Topic that pushes are written to: events for people who have no stream. Another one than `topic`; it has to exist.',
      },
      client_id: { type: type.text('a text'), default: 'ism', doc: 'Name that the broker logs.' },
      partition: {
        type: type.list('a list of partition numbers', type.integer(0, 2_147_483_647)),
        default: [],
        doc: 'Partitions of `topic` that this node reads; none means all. The nodes of a group share what they read.',
      },
      consumer_group: {
        type: type.text('a text'),
        default: 'ism',
        doc: 'Consumer group: every node of one database needs the same.',
      },
      tls: {
        type: type.choice(['off', 'require', 'verify'], { true: 'verify', false: 'off' }),
        default: 'off',
        doc: 'TLS to the brokers: `require` encrypts, `verify` also checks whose certificate it is. true is `verify`, false `off`.',
      },
      tls_ca: {
        type: type.text('the path of a PEM file'),
        example: '/etc/ism/kafka-ca.pem',
        doc: "PEM file with the authorities that `verify` trusts, in place of the system's.",
      },
      tls_cert: {
        type: type.text('the path of a PEM file'),
        example: '/etc/ism/kafka-client.pem',
        doc: 'PEM file with the certificate that ISM shows the brokers, where they ask for one.',
      },
      tls_key: {
        type: type.text('the path of a PEM file'),
        example: '/etc/ism/kafka-client.key',
        doc: 'PEM file with the private key of `tls_cert`, without a passphrase.',
      },
      sasl_mechanism: {
        type: type.choice(['plain', 'scram-sha-256', 'scram-sha-512']),
        example: 'scram-sha-512',
        doc: 'How to log in; left out where the brokers ask for no log-in.',
      },
      sasl_user: { type: type.possiblyEmptyText('a user'), example: 'ism', doc: 'User to log in as.' },
      sasl_password: {
        type: type.possiblyEmptyText('the password of that user'),
        secret: true,
        example: 'change-me',
        doc: 'Password of that user.',
      },
    },
  },
  webhook_config: {
    doc: 'Notifications of your own by `POST /api/notifications`. With neither secrets nor a role there is no such call.',
    keys: {
      secrets: {
        type: type.list('secrets of 24 to 64 bytes: "whsec_" and base64', type.webhookSecret),
        default: [],
        example: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
        secret: true,
        doc: 'Secrets that a request may be signed with, as Standard Webhooks describes; several while one replaces another.',
      },
      service_role: {
        type: type.text('the name of a role, without spaces', /^\S+$/),
        example: 'notifier',
        doc: 'A token of `[token_issuer]` with this role may send, too. The role is looked for in `realm_access` and in `resource_access` of `audience`.',
      },
      service_role_claim: {
        type: type.text('the name of a claim, or names with dots between them', /^[^\s.]+(?:\.[^\s.]+)*$/),
        example: 'permissions',
        doc: 'Claim that the role is looked for in instead: a list, or a text with spaces; dots lead into objects.',
      },
    },
  },
  limits: {
    doc: 'What one person may do; 0 switches a limit off.',
    keys: {
      sends_per_second: { type: limit, default: 20, doc: 'Messages a second in the long run.' },
      send_burst: { type: limit, default: 60, doc: 'Messages at once after a quiet time.' },
      searches_per_minute: { type: limit, default: 60, doc: 'Searches for users a minute.' },
      rooms_per_hour: { type: limit, default: 30, doc: 'New rooms an hour.' },
      uploads_per_hour: { type: limit, default: 20, doc: 'Pictures an hour.' },
      tickets_per_minute: { type: limit, default: 60, doc: 'Tickets for streams a minute.' },
    },
  },
  metrics: {
    doc: 'Prometheus metrics. With neither port nor token there is no `/metrics`.',
    keys: {
      host: { type: type.host, default: '127.0.0.1', doc: 'Address that the port of its own listens on.' },
      port: { type: port, example: 9403, doc: 'A port of its own for `/metrics`, which asks for no token.' },
      token: {
        type: type.text('letters, digits and signs without spaces', /^[!-~]+$/),
        secret: true,
        example: 'change-me',
        doc: 'Serves `/metrics` on `ism_port` to whoever bears this token.',
      },
    },
  },
  log: {
    doc: 'The event log from which streams resume.',
    keys: {
      retention_hours: {
        type: type.integer(24, 87_600, 'hours'),
        default: 168,
        doc: 'How long a client may be away and still resume; afterwards it is told to reload.',
      },
      partition_span: {
        type: type.integer(1_000_000, 1_000_000_000, 'events'),
        default: 2_000_000,
        doc: 'Events in one partition of the log, which is dropped as a whole; partitions are made a minute ahead, so not fewer than a minute can bring.',
      },
      memory_mib: {
        type: type.integer(1, 65_536, 'MiB'),
        default: 64,
        doc: 'Newest part of the log that is kept in memory.',
      },
    },
  },
  streams: {
    doc: 'Server-sent events.',
    keys: {
      keep_alive: {
        type: seconds(1, 300),
        default: 5,
        doc: 'Time between two comment lines that keep a stream open, in seconds.',
      },
      max_buffered_kib: {
        type: type.integer(16, 1_048_576, 'KiB'),
        default: 1024,
        doc: 'A reader with more unsent data than this is disconnected and resumes from the log.',
      },
      max_per_user: {
        type: type.integer(1, 10_000, 'streams'),
        default: 20,
        doc: 'Streams that one person may hold open.',
      },
      max_per_node: {
        type: type.integer(1, 1_000_000, 'streams'),
        default: 50_000,
        doc: 'Streams that one ISM holds open; past them, 503. Each takes a file descriptor.',
      },
    },
  },
} as const satisfies Record<string, Section>

/** What there may be several of: a `[[table]]` of these keys for each. */
export const LISTS = {
  webhooks: {
    doc: 'Receivers of your own that events are posted to, signed as Standard Webhooks describes; a `[[webhooks]]` for each.',
    keys: {
      url: {
        type: type.url(['https', 'http']),
        required: true,
        example: 'https://backend.example.com/ism-events',
        doc: 'Where events are posted.',
      },
      secret: {
        type: type.list('a secret of 24 to 64 bytes, "whsec_" and base64, or several', type.webhookSecret),
        required: true,
        secret: true,
        example: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
        doc: 'What requests are signed with; with several, while one replaces another, each signs.',
      },
      events: {
        type: type.list(`kinds of events: ${EVENT_NAMES.join(', ')}`, type.choice(EVENT_NAMES)),
        required: true,
        example: ['ChatMessage', 'NewRoom'],
        doc: 'Kinds of events that it gets.',
      },
      name: {
        type: type.text('at most 100 letters, digits, dots, colons, dashes and underscores', /^[\w.:-]{1,100}$/),
        example: 'backend',
        doc: 'What it is called in `ism status`, metrics and the log, and what its position is kept under. Left out: the host of `url`, and a hash of its path.',
      },
      allow_private: {
        type: type.boolean,
        default: false,
        doc: 'Whether its address may be a loopback, private or otherwise not public one.',
      },
      timeout: { type: seconds(1, 60), default: 15, doc: 'Time that it has to answer, in seconds.' },
    },
  },
} as const satisfies Record<string, Section>

export type SectionName = keyof typeof SCHEMA

type ValueOf<K> = K extends { type: ValueType<infer T> }
  ? K extends { default: unknown } | { required: true }
    ? T
    : T | undefined
  : never

/** What a table of these keys holds once it is judged. */
export type TableValues<Keys> = { [K in keyof Keys]: ValueOf<Keys[K]> }

/** What the table says a judged configuration holds. */
export type Values = { [S in SectionName]: TableValues<(typeof SCHEMA)[S]['keys']> }

/** The same table for walking: sections and keys in their order. */
export const SECTIONS: ReadonlyMap<string, Section> = new Map<string, Section>(Object.entries(SCHEMA))

export const LISTED: ReadonlyMap<string, Section> = new Map<string, Section>(Object.entries(LISTS))

export const qualified = (section: string, key: string) => (section === TOP ? key : `${section}.${key}`)
