/** ISM in this process, on a database and an issuer of the test file's own. */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { inject } from 'vitest'
import { type App, startApp } from '../../src/app.ts'
import type { Config } from '../../src/config/config.ts'
import { createLogger, type Logger } from '../../src/observability/logger.ts'
import { createDatabase } from './database.ts'
import { createSigningKey, IssuerServer, type SigningKey, sign } from './issuer-server.ts'
import { Person } from './person.ts'

type Overrides = {
  [Section in keyof Config]?: Config[Section] extends unknown[] ? Config[Section] : Partial<Config[Section]>
}

export class TestIsm {
  readonly app: App
  readonly config: Config
  /** The test's own connections to ISM's database. */
  readonly sql: pg.Pool
  readonly issuer: IssuerServer
  readonly key: SigningKey
  readonly #cleanUp: () => Promise<void>
  readonly #people: Person[] = []

  constructor(
    app: App,
    config: Config,
    sql: pg.Pool,
    issuer: IssuerServer,
    key: SigningKey,
    cleanUp: () => Promise<void>,
  ) {
    this.app = app
    this.config = config
    this.sql = sql
    this.issuer = issuer
    this.key = key
    this.#cleanUp = cleanUp
  }

  get url(): string {
    return `http://127.0.0.1:${this.app.address.port}`
  }

  /** Somebody new, known to ISM once they made a call. */
  async person(name: string, claims: Record<string, unknown> = {}): Promise<Person> {
    const id = randomUUID()
    const token = await sign(this.key, this.issuer.url, { sub: id, preferred_username: name, ...claims })
    const person = new Person(this.url, id, name, token)
    this.#people.push(person)
    return person
  }

  /** People who have made their first call. */
  async people<const Names extends string[]>(...names: Names): Promise<{ [Index in keyof Names]: Person }> {
    const people = await Promise.all(names.map((name) => this.person(name)))
    await Promise.all(people.map((person) => person.get('/api/rooms')))
    return people as { [Index in keyof Names]: Person }
  }

  /** Another node on the same database. */
  async anotherNode(overrides: Overrides = {}, logger = createLogger('silent')): Promise<App> {
    return startApp(merge(this.config, overrides), { logger, migrate: false })
  }

  async stop(): Promise<void> {
    for (const person of this.#people) person.closeStreams()
    await this.app.close()
    await this.#cleanUp()
  }
}

/** What the tests of calls run on: no limits, unless `overrides` sets them. */
export async function startIsm(overrides: Overrides = {}, logger?: Logger): Promise<TestIsm> {
  const [database, issuer, key] = await Promise.all([
    createDatabase(),
    new IssuerServer().start(),
    createSigningKey('test-key'),
  ])
  issuer.keys = [key.jwk]
  const directory = await mkdtemp(join(tmpdir(), 'ism-objects-'))
  const base: Config = {
    server: { host: '127.0.0.1', port: 0, logLevel: 'silent', corsOrigins: [] },
    postgres: database.config,
    redis: { url: undefined },
    messages: inject('cassandra') ?? { provider: 'postgres' },
    objects: { provider: 'directory', directory, bucket: 'pictures', publicUrl: undefined },
    tokenIssuer: issuer.config(),
    users: { provision: 'auto', nameClaim: 'preferred_username' },
    limits: {
      sendsPerSecond: 0,
      sendBurst: 0,
      searchesPerMinute: 0,
      roomsPerHour: 0,
      uploadsPerHour: 0,
      ticketsPerMinute: 0,
    },
    metrics: { host: '127.0.0.1', port: undefined, token: undefined },
    log: { retentionHours: 168, partitionSpan: 2_000_000, memoryBytes: 64 * 1024 * 1024 },
    streams: { keepAliveSeconds: 5, maxBufferedBytes: 1024 * 1024, maxPerUser: 20, maxPerNode: 50_000 },
    webhook: { secrets: [], serviceRole: undefined, serviceRoleClaim: undefined },
    webhooks: [],
    push: { http: undefined, maxAgeMs: 3_600_000 },
    kafka: undefined,
  }
  const config = merge(base, overrides)
  const app = await startApp(config, { logger: logger ?? createLogger(config.server.logLevel), migrate: false })
  const sql = new pg.Pool({ ...config.postgres, ssl: false, max: 3 })
  sql.on('error', () => {})
  return new TestIsm(app, config, sql, issuer, key, async () => {
    await sql.end()
    await issuer.stop()
    await database.drop()
    await rm(directory, { recursive: true, force: true })
  })
}

function merge(config: Config, overrides: Overrides): Config {
  const sections = Object.entries(config).map(([name, section]) => {
    const overriding = overrides[name as keyof Config]
    if (Array.isArray(section)) return [name, overriding ?? section]
    return [name, section || overriding ? { ...section, ...overriding } : undefined]
  })
  return Object.fromEntries(sections) as Config
}
