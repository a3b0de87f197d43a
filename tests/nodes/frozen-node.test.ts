/** A node that is frozen stops the others for two seconds at most, and takes nothing with it. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { Ledger } from '../support/ledger.ts'
import { type IsmNode, Service } from '../support/node.ts'
import { Reader } from '../support/persistent-clients.ts'
import type { Answer, Person } from '../support/person.ts'
import { createRandom } from '../support/random.ts'
import { endProcesses } from '../support/test-process.ts'
import { createGroup, expectEverywhere, expectOk, ofType, pause } from './everywhere.ts'

/** Two seconds at most, and what a busy machine takes for a send. */
const STOPPED_MS = 3_000

let service: Service
let a: IsmNode
let b: IsmNode
beforeAll(async () => {
  service = await Service.create()
  ;[a, b] = await Promise.all([service.node(), service.node()])
})
afterEach(() => a.signal('SIGCONT'))
afterAll(async () => {
  await endProcesses()
  await service.close()
})

test('frozen inside appends it stops nobody, and loses nothing', async () => {
  const random = createRandom(5_403)
  const people = await service.people(16, [a, b])
  const ledger = new Ledger()
  const roomId = await createGroup(people, 'frozen', a.url)
  ledger.addRoom(roomId, people)
  const readers = await Promise.all(people.map((person) => Reader.open(person)))
  let over = false
  let slowest = 0
  const sending = people.map(async (person, n) => {
    for (let turn = 0; !over; turn++) {
      const started = performance.now()
      ledger.record(expectOk(await person.send(roomId, `${n}, ${turn}`)))
      if (person.url === b.url) slowest = Math.max(slowest, performance.now() - started)
    }
  })
  for (let turn = 0; turn < 8; turn++) {
    await pause(20 + random.below(100))
    a.signal('SIGSTOP')
    await pause(50 + random.below(200))
    a.signal('SIGCONT')
  }
  over = true
  await Promise.all(sending)
  expect(slowest, 'the slowest send on the other node').toBeLessThan(STOPPED_MS)
  ledger.expectNumbered()
  await expectEverywhere(ledger, readers, [a, b])
})

test('frozen inside a transaction that holds the lock it stops the others for two seconds at most', async () => {
  const creators = await service.people(8, [a])
  const [sender, reader] = (await service.people(2, [b])) as [Person, Person]
  const roomId = await sender.createRoom([reader])
  const stream = await Reader.open(reader)
  const load = new RoomLoad(creators)
  await freezeHoldingLock(a)
  const waits: number[] = []
  const sent: Answer['body'][] = []
  for (let turn = 0; turn < 5; turn++) {
    const started = performance.now()
    sent.push(expectOk(await sender.send(roomId, `${turn}`)))
    waits.push(performance.now() - started)
  }
  // Not only the first one: what the frozen node had waiting behind its transaction must not take turns with us.
  const stopped = waits.reduce((sum, wait) => sum + wait, 0)
  expect(stopped, `the sum of ${waits.map(Math.round)}`).toBeLessThan(STOPPED_MS)
  await stream.until('all messages', () => ofType(stream, 'ChatMessage').length === sent.length, 4_000)
  a.signal('SIGCONT')

  const made = await load.end()
  for (const [creator, rooms] of made) {
    const { body } = await creator.at(b.url).get('/api/rooms')
    expect(body.map(({ id }: { id: string }) => id).sort()).toEqual(rooms.sort())
  }
  expectOk(await sender.at(a.url).send(roomId, 'and on'))
  await stream.stop()
})

/** People who make rooms on one node without a pause. */
class RoomLoad {
  #over = false
  readonly #made: Promise<[Person, string[]][]>

  constructor(creators: Person[]) {
    this.#made = Promise.all(
      creators.map(async (creator, n) => [creator, await this.#create(creator, creators[(n + 1) % 8] as Person)]),
    )
    // Whoever ends it learns of it.
    this.#made.catch(() => {})
  }

  /** @returns the rooms that were answered 200, by who is in them */
  async end(): Promise<[Person, string[]][]> {
    this.#over = true
    const made = await this.#made
    return made.map(([creator, rooms], n) => [creator, [...rooms, ...(made.at(n - 1)?.[1] ?? [])]])
  }

  async #create(creator: Person, other: Person): Promise<string[]> {
    const made: string[] = []
    for (let turn = 0; !this.#over; turn++) {
      const answer = await creator.post('/api/rooms/create-room', {
        roomType: 'Group',
        roomName: `${turn}`,
        invitedUsers: [creator.id, other.id],
      })
      expect([200, 503]).toContain(answer.status)
      if (answer.status !== 200) continue
      made.push(answer.body.id)
      expect([200, 503]).toContain((await creator.post(`/api/rooms/${answer.body.id}/mark-read`)).status)
    }
    return made
  }
}

/** Stops the node at random moments until its transaction has the log's lock and waits for it. */
async function freezeHoldingLock(node: IsmNode): Promise<void> {
  const random = createRandom(23)
  for (let attempt = 0; attempt < 200; attempt++) {
    await pause(10 + random.below(30))
    node.signal('SIGSTOP')
    if (await holdsLock()) return
    node.signal('SIGCONT')
  }
  throw new Error('the node was never stopped inside a transaction')
}

/** Nobody else has anything to write meanwhile: who holds the lock and does nothing for a while is the stopped node. */
async function holdsLock(): Promise<boolean> {
  await pause(60)
  const { rowCount } = await service.sql.query(
    `select from pg_locks l join pg_stat_activity a using (pid)
    where l.locktype = 'advisory' and l.objid = 5403 and l.granted
      and l.database = (select oid from pg_database where datname = current_database())
      and a.state = 'idle in transaction' and a.state_change < clock_timestamp() - interval '40 ms'`,
  )
  return (rowCount ?? 0) > 0
}
