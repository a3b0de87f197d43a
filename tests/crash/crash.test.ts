/** Nodes and PostgreSQL are killed at random moments under load: what was answered is kept, and comes to everybody once. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { PostgresConfig } from '../../src/config/config.ts'
import { type Cluster, startCluster } from '../../src/embedded/postgres/cluster.ts'
import { signal } from '../../src/embedded/processes.ts'
import { migrate } from '../../src/infra/migrations.ts'
import { Ledger } from '../support/ledger.ts'
import { type IsmNode, Service } from '../support/node.ts'
import { Reader, sendPersistently } from '../support/persistent-clients.ts'
import type { Person } from '../support/person.ts'
import { createRandom, type Random } from '../support/random.ts'
import { endProcesses } from '../support/test-process.ts'

const KILLS = 20
/** Of a node and PostgreSQL in the same moment. */
const KILLS_OF_BOTH = 2
const PEOPLE = 12
const ROOMS = 6
/** Of each sender: what comes out is checked message by message. */
const PAUSE_MS = 10

/** `CRASH_SEED=… npx vitest run tests/crash` repeats the choices, though not the moments at which they fall. */
const seed = Number(process.env['CRASH_SEED'] ?? Date.now() % 1_000_000)

let directory: string
let cluster: Cluster
let service: Service
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ism-crash-'))
  // With fsync, unlike the other tests' one.
  cluster = await startCluster({ directory, temporary: true, progress: () => undefined })
  service = await Service.create(await makeDatabase(cluster))
})
afterAll(async () => {
  await endProcesses()
  await service?.close()
  await cluster?.stop()
  await rm(directory, { recursive: true, force: true })
})

const say = (line: string) => process.stdout.write(`Crash test, ${line}\n`)

test(`what was answered survives kill -9 of nodes and of PostgreSQL (seed ${seed})`, { timeout: 60_000 }, async () => {
  say(`seed ${seed}`)
  const nodes = await Promise.all([service.node(), service.node()])
  const people = await service.people(PEOPLE, nodes)
  const ledger = await openRooms(people)
  const readers = await Promise.all(people.map((person, n) => Reader.open(person, inTurn(nodes, n))))
  const senders = people.map((person, n) => new Sender(person, inTurn(nodes, n), ledger))

  const havoc = new Havoc(nodes, createRandom(seed), () => senders.reduce((sum, { answered }) => sum + answered, 0))
  await havoc.run()
  const refusals = (await Promise.all(senders.map((sender) => sender.stop()))).flat()

  const { kills, answered } = havoc
  say(`seed ${seed}: ${kills.nodes} nodes and ${kills.postgres} postmasters killed, ${answered()} messages answered`)
  expect(havoc.unexpectedExits).toEqual([])
  expect(refusals.length).toBeGreaterThan(0)
  expect(refusals.filter((refusal) => typeof refusal === 'number' && refusal !== 503)).toEqual([])
  ledger.expectNumbered()
  for (const reader of readers) {
    await reader.until('all messages', () => messagesOf(reader) >= ledger.countFor(reader.person))
    await reader.stop()
    ledger.expectStream(reader.person, reader.events)
    for (const roomId of ledger.roomsOf(reader.person)) await ledger.expectTimeline(reader.person, roomId)
  }
})

async function makeDatabase({ connection }: Cluster): Promise<PostgresConfig> {
  const config = {
    ...connection,
    database: 'ism',
    ssl: 'off',
    sslCa: undefined,
    poolSize: 1,
    transactionPooler: false,
  } as const
  const client = new pg.Client({ ...connection, database: 'postgres' })
  await client.connect()
  await client.query('create database ism')
  await client.end()
  await migrate(config, { logger: () => {} })
  return config
}

/** Each person is in two of them. */
async function openRooms(people: Person[]): Promise<Ledger> {
  const ledger = new Ledger()
  for (let room = 0; room < ROOMS; room++) {
    const members = people.filter((_, n) => n % ROOMS === room || (n + 1) % ROOMS === room)
    const [owner, ...others] = members as [Person, ...Person[]]
    ledger.addRoom(await owner.createRoom(others, `room ${room}`), members)
  }
  return ledger
}

/** Sends without end, each message until it is answered. */
class Sender {
  answered = 0
  #over = false
  readonly #refusals: (number | string)[] = []
  readonly #done: Promise<void>

  constructor(person: Person, urls: string[], ledger: Ledger) {
    this.#done = this.#run(person, urls, ledger)
    // Whoever stops it learns of it.
    this.#done.catch(() => {})
  }

  /** @returns what it had to try again after */
  async stop(): Promise<(number | string)[]> {
    this.#over = true
    await this.#done
    return this.#refusals
  }

  async #run(person: Person, urls: string[], ledger: Ledger): Promise<void> {
    const rooms = ledger.roomsOf(person)
    for (let turn = 0; !this.#over; turn++) {
      const roomId = rooms[turn % rooms.length] as string
      const { message, refusals } = await sendPersistently(person, urls, roomId, `${person.name}, ${turn}`)
      ledger.record(message)
      this.answered++
      this.#refusals.push(...refusals)
      await delay(PAUSE_MS)
    }
  }
}

type Victims = { nodes: readonly IsmNode[]; postgres: boolean }

/** Kills, while something like a service manager starts again whatever ended. */
class Havoc {
  readonly kills = { nodes: 0, postgres: 0, both: 0 }
  /** Of nodes that nobody killed. */
  readonly unexpectedExits: unknown[] = []
  readonly #nodes: [IsmNode, IsmNode]
  readonly #random: Random
  readonly answered: () => number
  #over = false

  constructor(nodes: [IsmNode, IsmNode], random: Random, answered: () => number) {
    this.#nodes = nodes
    this.#random = random
    this.answered = answered
  }

  /** Resolves when enough was killed and all is well again. */
  async run(): Promise<void> {
    const managing = this.#nodes.map((node) => this.#manage(node))
    while (this.kills.nodes + this.kills.postgres < KILLS || this.kills.both < KILLS_OF_BOTH) {
      await this.#randomMoment()
      await this.#kill(this.#chooseVictims())
    }
    await Promise.all(this.#nodes.map(isWell))
    this.#over = true
    void managing
  }

  /** Mostly under load; now and then while what was killed before is still on its way back. */
  async #randomMoment(): Promise<void> {
    if (this.#random.next() < 0.25) return await delay(this.#random.below(300))
    const wanted = this.answered() + 1 + this.#random.below(250)
    while (this.answered() < wanted) await delay(5)
  }

  #chooseVictims(): Victims {
    const one = this.#random.pick(this.#nodes)
    return this.#random.pick<Victims>([
      { nodes: [one], postgres: false },
      { nodes: this.#nodes, postgres: false },
      { nodes: [], postgres: true },
      { nodes: [one], postgres: true },
      { nodes: this.#nodes, postgres: true },
    ])
  }

  /** All in the same moment; what is not there just now is left out. */
  async #kill(victims: Victims): Promise<void> {
    const nodes = victims.nodes.filter(({ process }) => process.exit === undefined)
    const postmaster = victims.postgres ? cluster.pid() : undefined
    const killed = postmaster !== undefined && signal(postmaster, 'SIGKILL')
    const exits = nodes.map((node) => node.kill('SIGKILL'))
    this.kills.nodes += nodes.length
    this.kills.postgres += Number(killed)
    this.kills.both += Number(killed && nodes.length > 0)
    await Promise.all(exits)
    while (killed && cluster.pid() === postmaster) await delay(2)
  }

  async #manage(node: IsmNode): Promise<void> {
    for (;;) {
      const exit = await node.process.exited
      if (this.#over) return
      if (exit.signal !== 'SIGKILL') this.unexpectedExits.push({ ...exit, output: node.process.stderr })
      // It may be killed before it listens.
      await node.restart().catch(() => {})
    }
  }
}

async function isWell(node: IsmNode): Promise<void> {
  for (;;) {
    const { ok } = await fetch(`${node.url}/health/ready`).catch(() => ({ ok: false }))
    if (ok) return
    await delay(20)
  }
}

/** The nodes' addresses, for some beginning with the one and for others with the other. */
const inTurn = ([one, other]: [IsmNode, IsmNode], n: number) =>
  n % 2 === 0 ? [one.url, other.url] : [other.url, one.url]

const messagesOf = ({ events }: Reader) => events.filter(({ type }) => type === 'ChatMessage').length
