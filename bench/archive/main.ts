/** How fast the archiver of an `ism serve` works a backlog off: into Cassandra, and into PostgreSQL. */
import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { defineBench, type Series } from '../suite/bench.ts'
import { untilArchived } from '../support/archive-progress.ts'
import { makeKeyspace, WITHOUT_CASSANDRA } from '../support/cassandra.ts'
import { cpuSeconds, residentMiB } from '../support/processes.ts'
import { type Ism, onStage, type Stage } from '../support/stage.ts'

type Node = { store: string; ism: Ism }
type WorkedOff = { rate: number; ismCpu: number; peakMiB: number }
type Backlog = { messages: number; rooms: number; length: number }

/** Messages of one append. */
const BATCH = 1_000

export const archive = defineBench({
  name: 'archive',
  about: "how fast the archiver works a backlog off: Cassandra's against PostgreSQL's",
  settings: {
    messages: { full: 100_000, small: 5_000, doc: 'of a backlog' },
    rooms: { full: [10, 10_000], small: [10], doc: 'rooms that they are in' },
    length: { full: 60, small: 60, doc: 'characters of a text' },
    rounds: { full: 3, small: 1, doc: 'turns of the sides' },
  },
  targets: {},
  run: ({ settings, say, profiling }) =>
    onStage(async (stage) => {
      const { messages, length, rounds } = settings
      const keyspace = await makeKeyspace()
      try {
        const nodes: Node[] = [{ store: 'PostgreSQL', ism: await stage.startIsm({ nodeOptions: profiling }) }]
        if (keyspace) {
          // How long ISM then waits before it relies on what was written is not what is measured.
          const sections = `${keyspace.sections}settle_time = 0\n`
          const options = { database: 'cassandra', sections, nodeOptions: profiling }
          nodes.push({ store: 'Cassandra', ism: await stage.startIsm(options) })
        }
        const results = new Map<string, WorkedOff[]>()
        for (const rooms of settings.rooms) {
          say(`${rooms} rooms`)
          for (let round = 0; round < rounds; round++)
            for (const { store, ism } of nodes) {
              const key = `${rooms} ${store}`
              const done = await workOff(stage, ism, { messages, rooms, length })
              results.set(key, [...(results.get(key) ?? []), done])
            }
        }
        return report(results, nodes, settings.rooms)
      } finally {
        await keyspace?.drop()
      }
    }),
})

/** Fills the log while somebody else holds the archive's lease, then gives the lease back. */
async function workOff(stage: Stage, ism: Ism, backlog: Backlog): Promise<WorkedOff> {
  const sql = await stage.connect(ism.database)
  try {
    await untilArchived(sql)
    await sql.query(`update projection set holder = gen_random_uuid(), lease_until = 'infinity', epoch = epoch + 1`)
    await fill(sql, backlog)
    const cpu = cpuSeconds(ism.pid)
    await sql.query(`update projection set holder = null, lease_until = '-infinity'`)
    const started = performance.now()
    let peakMiB = 0
    await untilArchived(sql, () => {
      peakMiB = Math.max(peakMiB, residentMiB(ism.pid))
    })
    const seconds = (performance.now() - started) / 1_000
    return {
      rate: backlog.messages / seconds,
      ismCpu: ((cpuSeconds(ism.pid) - cpu) / backlog.messages) * 1e6,
      peakMiB,
    }
  } finally {
    await sql.end()
  }
}

async function fill(sql: pg.Client, { messages, rooms: roomCount, length }: Backlog): Promise<void> {
  const user = randomUUID()
  await sql.query(
    `insert into app_user (id, created_at, display_name, friends_count, street_credits, role)
    values ($1, now(), $2, 0, 0, 'USER')`,
    [user, `bench ${user}`],
  )
  const { rows } = await sql.query<{ id: string }>(
    `with rooms as (insert into chat_room (id, created_at, room_type)
      select gen_random_uuid(), now(), 'Group' from generate_series(1, $1) returning id),
    members as (insert into chat_room_participant (joined_at, participant_state, room_id, user_id)
      select now(), 'Joined', id, $2 from rooms)
    select id from rooms`,
    [roomCount, user],
  )
  const body = JSON.stringify({ text: 'x'.repeat(length) })
  for (let done = 0; done < messages; done += BATCH) {
    const rooms = Array.from({ length: BATCH }, (_, n) => rows[(done + n) % rows.length]?.id)
    await sql.query(
      `select count(*) from append_sends($1, array_fill($2::uuid, array[$3::int]),
        array(select gen_random_uuid() from generate_series(1, $3)), array_fill(null::uuid, array[$3]),
        array_fill(1::smallint, array[$3]), array_fill($4::text, array[$3]), array_fill('{"type":"New"}'::text, array[$3]))`,
      [rooms, user, BATCH, body],
    )
  }
}

function report(results: Map<string, WorkedOff[]>, nodes: Node[], roomCounts: readonly number[]) {
  const rows = roomCounts.flatMap((rooms) =>
    nodes.map(({ store }) => {
      const done = results.get(`${rooms} ${store}`) ?? []
      const series = (key: keyof WorkedOff): Series => done.map((each) => each[key])
      return { labels: [store, rooms], values: [series('rate'), series('ismCpu'), series('peakMiB')] }
    }),
  )
  return {
    tables: [
      {
        title: 'A backlog',
        labels: ['store', 'rooms'],
        columns: [
          { head: 'messages/s', digits: 0 },
          { head: 'ISM µs/message', digits: 0 },
          { head: 'peak MiB of ISM', digits: 0 },
        ],
        rows,
      },
    ],
    reached: {},
    skipped: nodes.length > 1 ? [] : [{ what: 'Cassandra', targets: [], why: WITHOUT_CASSANDRA }],
    charts: [
      {
        name: 'archive',
        title: 'A backlog archived',
        unit: 'messages/s',
        bars: rows.map(({ labels: [store = '', rooms], values: [series = []] }) => ({
          label: `${rooms} rooms`,
          side: String(store),
          series,
        })),
      },
    ],
  }
}
