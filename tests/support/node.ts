/** Nodes: `ism serve` as processes of their own, on one database, one issuer and one directory of pictures. */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { PostgresConfig } from '../../src/config/config.ts'
import { isTaken } from '../../src/embedded/free-port.ts'
import { createDatabase } from './database.ts'
import { createSigningKey, IssuerServer, nowSeconds, type SigningKey, sign } from './issuer-server.ts'
import { Person } from './person.ts'
import { type Exit, type Surroundings, startIsmProcess, type TestProcess } from './test-process.ts'

export type NodeOptions = {
  clockShiftSeconds?: number
  /** Where this node finds the database, if elsewhere than the others. */
  database?: Partial<PostgresConfig>
}

export class IsmNode {
  readonly port: number
  readonly #config: string
  readonly #options: Surroundings
  #process: TestProcess

  private constructor(port: number, config: string, options: Surroundings, process: TestProcess) {
    this.port = port
    this.#config = config
    this.#options = options
    this.#process = process
  }

  static async start(config: string, options: Surroundings): Promise<IsmNode> {
    const port = await reservedPort()
    const node = new IsmNode(port, config, options, await IsmNode.#spawn(config, port, options))
    await node.#listening()
    return node
  }

  static #spawn(config: string, port: number, options: Surroundings): Promise<TestProcess> {
    return startIsmProcess(['serve', '--config', config, '--port', String(port)], options)
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get process(): TestProcess {
    return this.#process
  }

  /** The lines of its log since its last start, but for one of each request. */
  get log(): LogLine[] {
    return this.#process.stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as LogLine)
      .filter(({ msg }) => msg !== 'request')
  }

  signal(name: NodeJS.Signals): void {
    this.#process.signal(name)
  }

  kill(name: NodeJS.Signals): Promise<Exit> {
    return this.#process.kill(name)
  }

  /** On the same port; resolves when it listens. */
  async restart(): Promise<void> {
    this.#process = await IsmNode.#spawn(this.#config, this.port, this.#options)
    await this.#listening()
  }

  #listening(): Promise<unknown> {
    return this.#process.until('where it listens', (output) => output.includes('"msg":"listening"'))
  }
}

export type LogLine = { level: number; msg: string } & Record<string, unknown>

/** Everything that nodes share, made for one test file. */
export class Service {
  readonly postgres: PostgresConfig
  /** The test's own connections to the database. */
  readonly sql: pg.Pool
  readonly #issuer: IssuerServer
  readonly #key: SigningKey
  readonly #directory: string
  readonly #people: Person[] = []
  readonly #sections: Sections
  readonly #cleanUp: () => Promise<unknown>

  private constructor(
    postgres: PostgresConfig,
    issuer: IssuerServer,
    key: SigningKey,
    directory: string,
    sections: Sections,
    cleanUp: () => Promise<unknown>,
  ) {
    this.postgres = postgres
    this.sql = new pg.Pool({ ...postgres, ssl: false, max: 4 })
    this.sql.on('error', () => {})
    this.#issuer = issuer
    this.#key = key
    this.#directory = directory
    this.#sections = sections
    this.#cleanUp = cleanUp
  }

  /**
   * @param postgres a database that the caller looks after; without it one of the service's own
   * @param options `sections`: more of the configuration, '' for the keys above the first section
   */
  static async create(
    postgres?: PostgresConfig,
    options: { empty?: boolean; sections?: Sections } = {},
  ): Promise<Service> {
    const [database, issuer, key, directory] = await Promise.all([
      postgres ? { config: postgres, drop: async () => undefined } : createDatabase(options),
      new IssuerServer().start(),
      createSigningKey('test-key'),
      mkdtemp(join(tmpdir(), 'ism-nodes-')),
    ])
    issuer.keys = [key.jwk]
    return new Service(database.config, issuer, key, directory, options.sections ?? {}, () => database.drop())
  }

  async node({ database, ...options }: NodeOptions = {}): Promise<IsmNode> {
    return IsmNode.start(await this.configuration(database), options)
  }

  /** @returns a configuration file's path */
  async configuration(database: Partial<PostgresConfig> = {}): Promise<string> {
    const file = join(this.#directory, `${randomUUID()}.config.toml`)
    const postgres = { ...this.postgres, ...database }
    const { '': top, ...sections } = this.#sections
    await writeFile(
      file,
      toml({
        '': { ism_url: '127.0.0.1', log_level: 'info', ...top },
        user_db_config: {
          db_host: postgres.host,
          db_port: postgres.port,
          db_user: postgres.user,
          db_password: postgres.password,
          db_name: postgres.database,
        },
        token_issuer: { issuer: this.#issuer.url },
        objects: { directory: join(this.#directory, 'objects') },
        limits: {
          sends_per_second: 0,
          searches_per_minute: 0,
          rooms_per_hour: 0,
          uploads_per_hour: 0,
          tickets_per_minute: 0,
        },
        ...sections,
      }),
    )
    return file
  }

  /** People that `nodes` know, in turn. Their tokens are valid on clocks that go hours wrong, too. */
  async people(count: number, nodes: readonly { url: string }[]): Promise<Person[]> {
    const people = await Promise.all(
      Array.from({ length: count }, async (_, n) => {
        const [id, name] = [randomUUID(), `person-${n}-${randomUUID().slice(0, 8)}`]
        const claims = { sub: id, preferred_username: name, exp: nowSeconds() + 24 * 3_600 }
        const token = await sign(this.#key, this.#issuer.url, claims)
        return new Person(nodes[n % nodes.length]?.url ?? '', id, name, token)
      }),
    )
    await Promise.all(people.map((person) => person.get('/api/rooms')))
    this.#people.push(...people)
    return people
  }

  /** To be called when no node runs any more. */
  async close(): Promise<void> {
    for (const person of this.#people) person.closeStreams()
    await this.sql.end()
    await this.#issuer.stop()
    await this.#cleanUp()
    await rm(this.#directory, { recursive: true, force: true })
  }
}

/**
 * Below the ports that systems give to outgoing connections: one of those might take a node's port while the node is
 * down.
 */
export async function reservedPort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    if (!(await isTaken(port))) return port
  }
}

type Table = Record<string, string | number | boolean | number[] | string[]>
/** A list is a `[[table]]` for each. */
export type Sections = Record<string, Table | Table[]>

/** A JSON text is a TOML text, and so are JSON's numbers, booleans and lists of them. */
export function toml(sections: Sections): string {
  return Object.entries(sections)
    .flatMap(([name, content]) =>
      Array.isArray(content)
        ? content.map((table) => [`[[${name}]]`, ...tomlLines(table)])
        : [[...(name ? [`[${name}]`] : []), ...tomlLines(content)]],
    )
    .map((lines) => [...lines, ''].join('\n'))
    .join('\n')
}

const tomlLines = (table: Table) => Object.entries(table).map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
