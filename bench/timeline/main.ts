/** The first and the last page of a room's timeline: of a very long one, and of a short one. */
import { defineBench, type Row, type Series } from '../suite/bench.ts'
import { ratios } from '../suite/statistics.ts'
import { type Keyspace, makeKeyspace, WITHOUT_CASSANDRA } from '../support/cassandra.ts'
import { HttpConnection, requestText } from '../support/http-client.ts'
import { openLoad } from '../support/load/load.ts'
import { newPeople, newRooms, seedPeople, seedRooms } from '../support/seed.ts'
import { onStage, type Stage } from '../support/stage.ts'
import { type Past, pastOf, STEP_MS, seedCassandra, seedPostgres } from './seed.ts'

const PAGE = 25
const POSTGRES = 'PostgreSQL'
const CASSANDRA = 'Cassandra'
const PAGES = ['first', 'last'] as const

type Page = (typeof PAGES)[number]
type Asked = {
  store: string
  page: Page
  messages: number
  port: number
  request: string
  p50: number[]
  p99: number[]
}

const target = (store: string, page: Page) =>
  ({
    what: `p50 of the ${page} page of a long timeline, ${store}`,
    against: 'of a short one',
    bound: 'at most',
    value: 1.3,
    unit: '×',
  }) as const

export const timeline = defineBench({
  name: 'timeline',
  about: 'a page of the timeline of a room with a million messages, against a room with a thousand',
  settings: {
    long: { full: 1_000_000, small: 20_000, doc: 'messages of the long timeline' },
    short: { full: 1_000, small: 1_000, doc: 'messages of the short one' },
    seconds: { full: 3, small: 0.5, doc: 'a page and round' },
    rounds: { full: 5, small: 1, doc: 'turns of the sides' },
  },
  targets: {
    first: target(POSTGRES, 'first'),
    last: target(POSTGRES, 'last'),
    cassandraFirst: target(CASSANDRA, 'first'),
    cassandraLast: target(CASSANDRA, 'last'),
  },
  run: ({ settings, say, profiling }) =>
    onStage(async (stage) => {
      const lengths = [settings.short, settings.long]
      const asked = await askedOf(stage, { lengths, nodeOptions: profiling, say })
      const keyspace = await makeKeyspace()
      try {
        if (keyspace) asked.push(...(await askedOf(stage, { lengths, nodeOptions: profiling, say }, keyspace)))
        for (const each of asked) await ask(each, Math.min(1, settings.seconds))
        for (let round = 1; round <= settings.rounds; round++) {
          say(`round ${round}`)
          for (const each of asked) {
            const { p50, p99 } = await ask(each, settings.seconds)
            each.p50.push(p50)
            each.p99.push(p99)
          }
        }
        return report(asked, lengths, keyspace !== undefined)
      } finally {
        await keyspace?.drop()
      }
    }),
})

type Preparation = { lengths: number[]; nodeOptions: string[]; say: (line: string) => void }

/** An ISM with a room of each length, and what to ask it. */
async function askedOf(
  stage: Stage,
  { lengths, nodeOptions, say }: Preparation,
  keyspace?: Keyspace,
): Promise<Asked[]> {
  const store = keyspace ? CASSANDRA : POSTGRES
  const database = store.toLowerCase()
  const ism = await stage.startIsm({ database, nodeOptions, ...(keyspace && { sections: keyspace.sections }) })
  const sql = await stage.connect(database)
  const people = newPeople(2)
  const rooms = newRooms(people, lengths.length, people.length)
  const [token = ''] = await stage.tokensOf(people)
  await seedPeople(sql, people)
  await seedRooms(sql, rooms)
  const asked: Asked[] = []
  for (const [n, messages] of lengths.entries()) {
    const past = pastOf(rooms[n]?.id ?? '', people[1]?.id ?? '', messages)
    const started = performance.now()
    await (keyspace ? seedCassandra(keyspace.config, sql, past) : seedPostgres(sql, past))
    say(`${messages} messages in ${store} after ${((performance.now() - started) / 1_000).toFixed(1)} s`)
    for (const page of PAGES) {
      const path = pathOf(past, page)
      await requireWhole(ism.port, path, token)
      const request = requestText('GET', path, token)
      asked.push({ store, page, messages, port: ism.port, request, p50: [], p99: [] })
    }
  }
  await sql.end()
  return asked
}

function pathOf({ roomId, count, beginning }: Past, page: Page): string {
  const before = beginning + (page === 'first' ? count + 1 : PAGE + 1) * STEP_MS
  return `/api/rooms/${roomId}/timeline?timestamp=${new Date(before).toISOString()}`
}

async function requireWhole(port: number, path: string, token: string): Promise<void> {
  const connection = await HttpConnection.open(port)
  const { status, body } = await connection.request('GET', path, token)
  connection.close()
  if (status !== 200 || JSON.parse(body).length !== PAGE) throw new Error(`${path}: ${status} ${body.slice(0, 300)}`)
}

async function ask({ port, request }: Asked, seconds: number) {
  const load = await openLoad(port, 1)
  try {
    return await load.run({ requests: [request], seconds })
  } finally {
    await load.stop()
  }
}

function report(asked: Asked[], [short = 0, long = 0]: number[], withCassandra: boolean) {
  const p50 = (store: string, page: Page, messages: number): Series =>
    asked.find((each) => each.store === store && each.page === page && each.messages === messages)?.p50 ?? []
  const ratio = (store: string, page: Page) => ratios(p50(store, page, long), p50(store, page, short))
  const rows: Row[] = asked.map(({ store, page, messages, p50: half, p99 }) => ({
    labels: [store, page, messages],
    values: [half, p99],
  }))
  return {
    tables: [
      {
        title: 'A page, one after the other',
        labels: ['store', 'page', 'messages'],
        columns: [
          { head: 'p50 ms', digits: 2 },
          { head: 'p99 ms', digits: 2 },
        ],
        rows,
      },
    ],
    reached: {
      first: ratio(POSTGRES, 'first'),
      last: ratio(POSTGRES, 'last'),
      ...(withCassandra && { cassandraFirst: ratio(CASSANDRA, 'first'), cassandraLast: ratio(CASSANDRA, 'last') }),
    },
    skipped: withCassandra
      ? []
      : [
          {
            what: CASSANDRA,
            targets: ['cassandraFirst' as const, 'cassandraLast' as const],
            why: WITHOUT_CASSANDRA,
          },
        ],
    charts: [
      {
        name: 'timeline',
        title: 'A page of the timeline, p50',
        unit: 'ms',
        bars: asked.map(({ store, page, messages, p50: series }) => ({
          label: `${store}, ${page} page`,
          side: `${messages} messages`,
          series,
        })),
      },
    ],
  }
}
