/** An installation of ISM 0.7.9 as its operator has it before the move, and the commands of the move run in it. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { createSigningKey, IssuerServer, nowSeconds, type SigningKey, sign } from '../issuer-server.ts'
import { IsmNode } from '../node.ts'
import { Person } from '../person.ts'
import { startIsmProcess } from '../test-process.ts'
import { type Community, createCommunity } from './community.ts'
import { Expected } from './expected.ts'
import type { LegacyPerson } from './people.ts'
import { dropStores, fillStores, type LegacyStores, legacyConfiguration, legacyStores, type Servers } from './stores.ts'

const REALM = 'my-realm'

export type Outcome = { code: number | null; stdout: string; stderr: string }

export class LegacyService {
  readonly community: Community
  readonly stores: LegacyStores
  readonly expected: Expected
  /** What lies in the bucket, by the ids of the rooms. */
  readonly pictures: Map<string, Buffer>
  readonly sql: pg.Pool
  readonly #servers: Servers
  readonly #directory: string
  readonly #issuer: IssuerServer
  readonly #key: SigningKey
  readonly #nodes: IsmNode[] = []
  readonly #people = new Map<string, Person>()

  private constructor(
    servers: Servers,
    { community, stores, pictures }: Pick<LegacyService, 'community' | 'stores' | 'pictures'>,
    directory: string,
    { issuer, key }: { issuer: IssuerServer; key: SigningKey },
  ) {
    this.community = community
    this.stores = stores
    this.pictures = pictures
    this.expected = new Expected(community, stores.bucket)
    this.sql = new pg.Pool({ ...stores.postgres, max: 3 })
    this.sql.on('error', () => {})
    this.#servers = servers
    this.#directory = directory
    this.#issuer = issuer
    this.#key = key
  }

  static async create(servers: Servers): Promise<LegacyService> {
    const community = createCommunity()
    const stores = legacyStores(servers, `ism_moving_in_${randomBytes(4).toString('hex')}`)
    const [pictures, directory, issuer, key] = await Promise.all([
      fillStores(servers, stores, community),
      mkdtemp(join(tmpdir(), 'ism-moving-in-')),
      new IssuerServer().start(),
      createSigningKey('realm-key'),
    ])
    issuer.keys = [key.jwk]
    issuer.metadata = { issuer: `${issuer.url}/realms/${REALM}` }
    const configuration = legacyConfiguration(stores, { host: issuer.url, realm: REALM })
    await writeFile(join(directory, 'production.config.toml'), configuration)
    return new LegacyService(servers, { community, stores, pictures }, directory, { issuer, key })
  }

  /** `ism` with these arguments, beside the configuration. */
  async ism(...parameters: string[]): Promise<Outcome> {
    const process = await startIsmProcess(parameters, { cwd: this.#directory })
    const { code } = await process.exited
    return { code, stdout: process.stdout, stderr: process.stderr }
  }

  /** `ism serve`, listening. */
  async node(): Promise<IsmNode> {
    const node = await IsmNode.start(join(this.#directory, 'production.config.toml'), {})
    this.#nodes.push(node)
    return node
  }

  /** Those who were at nodes that have stopped are at one that runs. */
  readdress(): void {
    for (const person of this.#people.values()) person.url = this.#nodes[0]?.url ?? ''
  }

  async stopNodes(): Promise<void> {
    await Promise.all(this.#nodes.splice(0).map((node) => node.kill('SIGTERM')))
  }

  /** With a token of the realm that calls them something else; of the nodes each person has one. */
  async person(known: LegacyPerson): Promise<Person> {
    const existing = this.#people.get(known.id)
    if (existing) return existing
    const token = await sign(this.#key, `${this.#issuer.url}/realms/${REALM}`, {
      sub: known.id,
      preferred_username: `${known.label} in the realm`,
      exp: nowSeconds() + 3_600,
    })
    const node = this.#nodes[this.#people.size % this.#nodes.length]
    const person = new Person(node?.url ?? '', known.id, known.displayName, token)
    this.#people.set(known.id, person)
    return person
  }

  async close(): Promise<void> {
    for (const person of this.#people.values()) person.closeStreams()
    await this.stopNodes()
    await this.sql.end()
    await this.#issuer.stop()
    await dropStores(this.#servers, this.stores)
    await rm(this.#directory, { recursive: true, force: true })
  }
}
