/** The log's partitions: made ahead, cut by age, dropped once archived; safe at any crash, on two nodes, and unseen by clients. */
import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Database, openDatabase } from '../../src/infra/postgres.ts'
import { encodeCursor } from '../../src/log/cursor.ts'
import { Retention } from '../../src/log/retention.ts'
import { createLogTransactions } from '../../src/log/transaction.ts'
import { ARCHIVE } from '../../src/messages/archiver.ts'
import { archived, holdArchive } from '../support/archive.ts'
import { eventually } from '../support/eventually.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { appendMany } from '../support/many-messages.ts'
import type { Answer, Person } from '../support/person.ts'

const SPAN = 20
/** Messages that the partitions made ahead have room for. */
const MANY = SPAN - 2
const RETENTION_HOURS = 7
/** A seventh of the retention: older than this, the partition in use is cut. */
const CUT_HOURS = 1

let ism: TestIsm
let db: Database
let alice: Person
let bob: Person
let roomId: string

const observe = { queryStarted() {}, connectionFailed() {} }
const retentionOn = (database: Database) =>
  new Retention(
    database,
    createLogTransactions(database, () => {}),
    { retentionHours: RETENTION_HOURS, partitionSpan: SPAN, archive: ARCHIVE },
  )
const run = () => retentionOn(db).run()

const rowsOf = async <Row extends pg.QueryResultRow>(text: string, values?: unknown[]) =>
  (await ism.sql.query<Row>(text, values)).rows
const numberOf = async (text: string) =>
  Number((await rowsOf<{ value: string }>(`select (${text}) as value`))[0]?.value)
const lastSeq = () => numberOf('select last_value from event_seq')
const trimmedSeq = () => numberOf('select trimmed_seq from event_log')
const partitions = () =>
  rowsOf<{ from: number; to: number }>(
    'select from_seq::int as from, to_seq::int as to from event_partition order by from_seq',
  )
/** The tables that are part of the log now. */
const attached = async () =>
  (
    await rowsOf<{ name: string }>(
      "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'event'::regclass and not inhdetachpending",
    )
  )
    .map(({ name }) => name)
    .sort()
const tables = async () =>
  (
    await rowsOf<{ name: string }>(
      "select relname as name from pg_class where relname ~ '^event_\\d+$' and relkind = 'r'",
    )
  )
    .map(({ name }) => name)
    .sort()
const namesOf = (list: { from: number }[]) => list.map(({ from }) => `event_${from}`).sort()

/** As if everything so far had been logged this much earlier. */
const age = (hours: number) =>
  ism.sql.query('update event set logged_at = logged_at - make_interval(hours => $1)', [hours])

async function send(count: number, from = alice): Promise<void> {
  const sends = Array.from({ length: count }, (_, n) =>
    from.send(roomId, `message ${n}`, { clientMessageId: crypto.randomUUID() }),
  )
  for (const { status, body } of await Promise.all(sends)) expect(status, JSON.stringify(body)).toBe(200)
}

/** Everything so far is archived and past its time, and in partitions that nothing more goes into. */
async function expire(): Promise<void> {
  await archived(ism)
  await age(RETENTION_HOURS + 1)
  await retentionOn(db).run()
  await alice.post(`/api/rooms/${roomId}/mark-read`)
  await send(1)
  await archived(ism)
}

async function view(): Promise<Answer['body'][]> {
  const views = [alice, bob].flatMap((person) => [
    person.get('/api/rooms').then(({ body }) => body),
    person.get(`/api/rooms/${roomId}/users`).then(({ body }) => body),
    person.get(`/api/rooms/${roomId}/read-states`).then(({ body }) => body),
  ])
  return Promise.all([alice.timeline(roomId), ...views])
}

/** Nothing is left to do, and what is there fits together. */
async function expectSettled(): Promise<void> {
  expect(await run()).toBe(0)
  const list = await partitions()
  expect(await attached()).toEqual(namesOf(list))
  expect(await tables()).toEqual(namesOf(list))
  expect(list[0]?.from).toBe((await trimmedSeq()) + 1)
}

beforeAll(async () => {
  ism = await startIsm({ log: { partitionSpan: SPAN } })
  db = openDatabase(ism.config.postgres, observe)
  // Small ones instead of the template's.
  await ism.sql.query('drop table event_1, event_2000001')
  await ism.sql.query('delete from event_partition')
  await ism.sql.query('select add_event_partition($1)', [SPAN])
  await run()
  ;[alice, bob] = await ism.people('alice', 'bob')
  roomId = await alice.createRoom([bob])
})
afterAll(async () => {
  await db.close()
  await ism.stop()
})
beforeEach(async () => {
  await run()
})

describe('partitions', () => {
  it('are made ahead, one after the other, and messages go from each into the next', async () => {
    const before = await lastSeq()
    for (let round = 0; round < 3; round++) {
      await send(MANY)
      await run()
      expect(((await partitions()).at(-1)?.to ?? 0) - (await lastSeq())).toBeGreaterThanOrEqual(SPAN)
    }
    expect(await lastSeq()).toBe(before + 3 * MANY)
    const list = await partitions()
    for (const [i, { from }] of list.entries()) expect(from).toBe(list[i - 1]?.to ?? from)
    expect(await attached()).toEqual(namesOf(list))
    const timeline = await bob.timeline(roomId)
    expect(timeline.map(({ roomSeq }) => roomSeq)).toEqual(Array.from({ length: 3 * MANY }, (_, i) => 3 * MANY - i))
  })

  it('are cut where they are old, so that a quiet log comes to its end too, and not before', async () => {
    await send(1)
    const last = await lastSeq()
    const used = (await partitions()).find(({ to }) => last < to)
    await run()
    expect(await lastSeq()).toBe(last)
    await age(CUT_HOURS + 1)
    await run()
    await run()
    expect(await lastSeq()).toBe((used?.to ?? 0) - 1)
    await send(1)
    expect(await numberOf('select max(seq) from event')).toBe(used?.to)
  })
})

describe('what is kept', () => {
  it('is everything that is not past its time', async () => {
    await expire()
    await run()
    const kept = await attached()
    await send(MANY)
    await archived(ism)
    await age(RETENTION_HOURS - 1)
    expect(await run()).toBe(0)
    expect(await attached()).toEqual(expect.arrayContaining(kept))
  })

  it('is everything that the archive lacks, however old', async () => {
    await expire()
    await run()
    const release = await holdArchive(ism)
    const before = await trimmedSeq()
    for (let round = 0; round < 2; round++) {
      await send(MANY)
      await age(RETENTION_HOURS + 1)
      await run()
    }
    await send(1)
    const shown = await bob.timeline(roomId)
    expect(await run()).toBe(0)
    expect(await trimmedSeq()).toBe(before)
    expect(await bob.timeline(roomId)).toEqual(shown)
    await release()
    await archived(ism)
    expect(await run()).toBeGreaterThanOrEqual(2)
    expect(await trimmedSeq()).toBeGreaterThanOrEqual(before + 2 * MANY)
    expect(await bob.timeline(roomId)).toEqual(shown)
  })
})

describe('what is dropped', () => {
  it('leaves a stream to be opened where nothing came after it but what was rolled back', async () => {
    await send(1)
    await archived(ism)
    await age(RETENTION_HOURS + 1)
    await run()
    await ism.sql.query("select nextval('event_seq')")
    await run()
    const { body } = await bob.get('/api/notifications/cursor')
    const stream = await bob.stream(body.lastEventId)
    expect(stream.named).toEqual(['cursor'])
  })

  it('changes nothing that a client sees', async () => {
    await bob.post(`/api/rooms/${roomId}/mark-read`)
    await send(3)
    await expire()
    const shown = await view()
    expect(await run()).toBe(1)
    expect(await view()).toEqual(shown)
    await expectSettled()
    const [newest, ...older] = await alice.timeline(roomId)
    expect(older.every(({ clientMessageId }) => clientMessageId)).toBe(true)
    const { body } = await alice.send(roomId, newest.msgBody.text, { clientMessageId: newest.clientMessageId })
    expect(body).toEqual(newest)
    expect((await bob.get(`/api/rooms/${roomId}`)).body.unreadCount).toBe(4)
  })

  it('can be resumed from its very end, and from nowhere before it', async () => {
    await expire()
    await run()
    const [{ epoch }] = (await rowsOf<{ epoch: string }>('select epoch from event_log')) as [{ epoch: string }]
    const trimmed = await trimmedSeq()
    const since = async (seq: number) =>
      (await bob.get(`/api/notifications?lastEventId=${encodeCursor({ epoch, seq })}`)).body
    expect((await since(trimmed))[0]).toMatchObject({ type: 'ChatMessage', seq: trimmed + 1 })
    expect(await since(trimmed - 1)).toMatchObject([{ type: 'Resync', reason: 'TOO_OLD' }])
    const [stream, late] = await Promise.all([
      bob.stream(encodeCursor({ epoch, seq: trimmed })),
      bob.stream(encodeCursor({ epoch, seq: trimmed - 1 })),
    ])
    expect(await stream.next(() => true)).toMatchObject({ type: 'ChatMessage', seq: trimmed + 1 })
    expect(await late.next(() => true)).toMatchObject({ type: 'Resync', reason: 'TOO_OLD' })
  })
})

describe('a run that ends halfway', () => {
  /** Dies at the first statement whose name or text matches. */
  function dyingAt(statement: RegExp): Database {
    const guard = <T>(what: string, go: () => Promise<T>) =>
      statement.test(what) ? Promise.reject(new Error('died')) : go()
    return {
      query: (name, text, values) => guard(name, () => db.query(name, text, values)),
      withConnection: (work) =>
        db.withConnection((connection) =>
          work({
            query: (name, text, values) => guard(name, () => connection.query(name, text, values)),
            execute: (text) => guard(text, () => connection.execute(text)),
          }),
        ),
      close: () => db.close(),
    }
  }

  it.each([
    ['while heads are folded', /fold-members/],
    ['before the log is marked', /retention\.mark/],
    ['while the log is marked', /retention\.memberships/],
    ['marked, before the partition is detached', /detach partition/],
    ['detached, before it is dropped', /drop table/],
    ['dropped, before it is forgotten', /retention\.forget/],
  ])('%s is finished by the next', async (_, statement) => {
    await send(2, bob)
    await expire()
    const shown = await view()
    await expect(retentionOn(dyingAt(statement)).run()).rejects.toThrow('died')
    expect(await view()).toEqual(shown)
    expect(await run()).toBe(1)
    expect(await view()).toEqual(shown)
    await expectSettled()
  })

  it('because a snapshot is open stops nobody, and is finished once it is closed', async () => {
    await expire()
    const shown = await view()
    const reader = await ism.sql.connect()
    await reader.query('begin isolation level repeatable read')
    await reader.query('select count(*) from event')
    const running = expect(run()).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' })
    const detaching = () => numberOf('select count(*) from pg_inherits where inhdetachpending')
    await eventually('it is being detached', async () => (await detaching()) === 1)
    expect(await view()).toEqual(shown)
    await send(1)
    await running
    await reader.query('commit')
    reader.release()
    const now = await view()
    expect(await run()).toBe(1)
    expect(await view()).toEqual(now)
    await expectSettled()
  })
})

describe('two nodes', () => {
  it('at once do no harm to each other', async () => {
    const another = openDatabase(ism.config.postgres, observe)
    for (let round = 0; round < 3; round++) {
      await send(SPAN / 2)
      await expire()
      const shown = await view()
      await Promise.allSettled([run(), retentionOn(another).run()])
      expect(await view()).toEqual(shown)
      await run()
      await expectSettled()
      expect(await view()).toEqual(shown)
    }
    await another.close()
  })
})

it('a batch on its way into two partitions is in neither of them dropped', async () => {
  await send(1)
  await archived(ism)
  await age(RETENTION_HOURS + 1)
  const release = await holdArchive(ism)
  // All of the next partition but its last number is passed over, as by sends that failed.
  const next = (await partitions()).at(-1)?.to ?? 0
  for (let count = 0; count < 3; count++) await ism.sql.query('select add_event_partition($1)', [SPAN])
  await ism.sql.query("select setval('event_seq', $1)", [next + SPAN - 2])
  const sender = await ism.sql.connect()
  const late: Promise<unknown>[] = []
  /** The batch begins when the log has been cut, and commits when something waits for it. */
  const slowed: Database = {
    ...db,
    async query(name, text, values) {
      const rows = await db.query<never>(name, text, values)
      if (name !== 'retention.cut') return rows
      await sender.query('begin')
      await appendMany(sender, roomId, bob.id, 3)
      const waiters = `select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'advisory'`
      const isWaitedFor = eventually('something waits', async () => (await numberOf(waiters)) > 0)
      late.push(isWaitedFor.finally(() => sender.query('commit')))
      return rows
    },
  }
  await retentionOn(slowed).run()
  await Promise.all(late)
  sender.release()
  await release()
  await archived(ism)
  const texts = (await alice.timeline(roomId)).slice(0, 3).map(({ msgBody }) => msgBody.text)
  expect(texts).toEqual(['3', '2', '1'])
})
