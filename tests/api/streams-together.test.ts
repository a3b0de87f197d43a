/** Many streams that open together on a node that knows nobody yet: each begins where its client was, as if it came alone. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { App } from '../../src/app.ts'
import { type Database, openDatabase } from '../../src/infra/postgres.ts'
import type { AppError } from '../../src/shared/app-error.ts'
import { type OpenedByTicket, StreamTickets } from '../../src/streams/stream-tickets.ts'
import { eventually } from '../support/eventually.ts'
import { appendSystemMessage } from '../support/hearing.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Person } from '../support/person.ts'
import { waitingForLocks } from '../support/waiting.ts'

const PEOPLE = 40

let ism: TestIsm
let db: Database
let host: Person
let people: Person[]
/** Started by each test, so that it knows nobody. */
let fresh: App | undefined
beforeAll(async () => {
  ism = await startIsm()
  // Rows are found one by one, as in a large table.
  for (const way of ['hashjoin', 'mergejoin', 'seqscan'])
    await ism.sql.query(`alter database ${ism.config.postgres.database} set enable_${way} = off`)
  db = openDatabase(ism.config.postgres, { queryStarted: () => {}, connectionFailed: () => {} })
  ;[host, ...people] = (await ism.people('host', ...Array.from({ length: PEOPLE }, (_, n) => `guest ${n}`))) as [
    Person,
    ...Person[],
  ]
})
afterEach(async () => {
  for (const person of [host, ...people]) person.closeStreams()
  await fresh?.close()
  fresh = undefined
})
afterAll(async () => {
  await db.close()
  await ism.stop()
})

async function startFresh(): Promise<(person: Person) => Person> {
  fresh = await ism.anotherNode()
  const { address } = fresh
  return (person) => person.at(`http://127.0.0.1:${address.port}`)
}

const texts = (stream: Awaited<ReturnType<Person['stream']>>) =>
  stream.ofType('ChatMessage').map(({ message }) => message.msgBody.text)

test('each resumes from a cursor of their own, with the rooms that they were in then', async () => {
  const there = await startFresh()
  const roomIds = await Promise.all(people.map((person) => host.createRoom([person], 'Cooks')))
  // Every second one leaves: the room is theirs only for whoever was away since before that.
  const cursors: string[] = []
  for (const [n, person] of people.entries()) {
    const cursor = (await person.get('/api/notifications/cursor')).body.lastEventId
    await host.send(roomIds[n] ?? '', `for guest ${n}`)
    if (n % 2) await person.post(`/api/rooms/${roomIds[n]}/leave`)
    await host.send(roomIds[n] ?? '', `later for guest ${n}`)
    cursors.push(n % 4 < 2 ? cursor : (await person.get('/api/notifications/cursor')).body.lastEventId)
  }
  const streams = await Promise.all(people.map((person, n) => there(person).stream(cursors[n])))
  await appendSystemMessage(ism, people, 'end')
  for (const [n, stream] of streams.entries()) {
    await stream.next(({ message }) => message === 'end')
    const missed = n % 2 ? [`for guest ${n}`] : [`for guest ${n}`, `later for guest ${n}`]
    expect(texts(stream)).toEqual(n % 4 < 2 ? missed : [])
  }
})

test('tickets that come together open one stream each, and what opens nothing is refused alone', async () => {
  const there = await startFresh()
  const tickets = await Promise.all(people.map((person) => person.ticket()))
  await ism.sql.query('update stream_ticket set open_until = now() where user_id = $1', [people[3]?.id])
  const streams = await Promise.all(people.map((person, n) => there(person).source(`?ticket=${tickets[n]}`)))
  expect(streams.map(({ status }) => status)).toEqual(people.map((_, n) => (n === 3 ? 401 : 200)))
  await appendSystemMessage(ism, people, 'each is heard')
  for (const [n, stream] of streams.entries())
    if (n !== 3) await stream.next(({ message }) => message === 'each is heard')
})

describe('of the uses of tickets in one statement', () => {
  let nodes: [StreamTickets, StreamTickets]
  beforeEach(() => {
    const on = () => new StreamTickets(db, db, 0)
    nodes = [on(), on()]
  })
  const issued = async (person: Person) =>
    (await nodes[0].issue({ userId: person.id, expiresAt: Date.now() + 60_000 })).ticket
  const outcome = (use: Promise<OpenedByTicket>) =>
    use.then(
      ({ user, ticket }) => `${user.displayName} ${ticket.opening}`,
      (error: AppError) => error.code,
    )

  test('each is judged by itself, and those of the same ticket one after the other', async () => {
    const [alice, bob] = people as [Person, Person]
    const [first, second] = [await issued(alice), await issued(bob)]
    const use = (ticket: string, resumes = false) => outcome(nodes[0].use(ticket, resumes))
    expect(
      await Promise.all([use(second), use(first), use(first), use('x'.repeat(43)), use(first, true), use(first, true)]),
    ).toEqual(['guest 1 1', 'guest 0 1', 'UNAUTHENTICATED', 'UNAUTHENTICATED', 'guest 0 2', 'guest 0 3'])
  })

  test('none waits for those of another node that waits for it', async () => {
    const tickets = await Promise.all(people.slice(0, 15).map(issued))
    // Both come to wait for the same row, each with what it has locked by then.
    const holder = await ism.sql.connect()
    await holder.query('begin')
    await holder.query('update stream_ticket set openings = openings where hash = sha256($1)', [tickets[7]])
    const uses = (node: StreamTickets, order: string[]) =>
      Promise.all(order.map((ticket) => outcome(node.use(ticket, false))))
    const opened = Promise.all([uses(nodes[0], tickets), uses(nodes[1], tickets.toReversed())])
    await eventually('both wait', async () => (await waitingForLocks(ism.sql)) === 2)
    await holder.query('commit')
    holder.release()
    const outcomes = (await opened).flat()
    expect(outcomes.filter((each) => each !== 'UNAUTHENTICATED').sort()).toEqual(
      tickets.map((_, n) => `guest ${n} 1`).sort(),
    )
  })
})
