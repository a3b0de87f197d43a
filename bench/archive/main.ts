/** How fast the archiver of an `ism serve` works a backlog off: into Cassandra, and into PostgreSQL beside it. */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import type pg from 'pg'
import { initKeyspace } from '../../src/infra/cassandra-schema.ts'
import { cassandraConfig, connectClient, dropKeyspace } from '../../tests/support/keyspace.ts'
import { type EmbeddedIsm, startEmbeddedIsm } from '../support/embedded-ism.ts'
import { cpuSeconds, residentMiB } from '../support/processes.ts'

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '100000' },
    rooms: { type: 'string', default: '10,10000' },
    /** Characters of a text. */
    length: { type: 'string', default: '60' },
    rounds: { type: 'string', default: '3' },
    json: { type: 'boolean', default: false },
  },
})

type Result = { store: string; rooms: number; rate: number; ismCpu: number; peakMiB: number }

const MESSAGES = Number(values.messages)
const BATCH = 1_000
const print = (text: string) => process.stdout.write(`${text}\n`)

const address = process.env['ISM_TEST_CASSANDRA']
if (!address) throw new Error('set ISM_TEST_CASSANDRA to host:port of a Cassandra')
const config = cassandraConfig(address)
await initKeyspace(config, { logger: () => {} })
const nodes = [
  { store: 'PostgreSQL', ism: await startEmbeddedIsm() },
  {
    store: 'Cassandra',
    ism: await startEmbeddedIsm([], `[message_db_config]\ndb_url = "${address}"\ndb_keyspace = "${config.keyspace}"\n`),
  },
]
try {
  const results: Result[] = []
  for (const rooms of values.rooms.split(',').map(Number)) {
    for (let round = 0; round < Number(values.rounds); round++)
      for (const { store, ism } of nodes) results.push({ store, rooms, ...(await workOff(ism, rooms)) })
  }
  report(results)
} finally {
  for (const { ism } of nodes) await ism.stop()
  const client = await connectClient(address)
  await dropKeyspace(client, config.keyspace)
  await client.shutdown()
}

/** Fills the log while somebody else holds the archive's lease, then gives the lease back. */
async function workOff(ism: EmbeddedIsm, roomCount: number): Promise<Omit<Result, 'store' | 'rooms'>> {
  const sql = await ism.connect()
  try {
    await untilIdle(sql)
    await sql.query(`update projection set holder = gen_random_uuid(), lease_until = 'infinity', epoch = epoch + 1`)
    await fill(sql, roomCount)
    const cpu = cpuSeconds(ism.pid)
    await sql.query(`update projection set holder = null, lease_until = '-infinity'`)
    const started = performance.now()
    const peakMiB = await untilIdle(sql, ism.pid)
    const seconds = (performance.now() - started) / 1_000
    return {
      rate: MESSAGES / seconds,
      ismCpu: ((cpuSeconds(ism.pid) - cpu) / MESSAGES) * 1e6,
      peakMiB,
    }
  } finally {
    await sql.end()
  }
}

async function fill(sql: pg.Client, roomCount: number): Promise<void> {
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
  const body = JSON.stringify({ text: 'x'.repeat(Number(values.length)) })
  for (let done = 0; done < MESSAGES; done += BATCH) {
    const rooms = Array.from({ length: BATCH }, (_, n) => rows[(done + n) % rows.length]?.id)
    await sql.query(
      `select count(*) from append_sends($1, array_fill($2::uuid, array[$3::int]),
        array(select gen_random_uuid() from generate_series(1, $3)), array_fill(null::uuid, array[$3]),
        array_fill(1::smallint, array[$3]), array_fill($4::text, array[$3]), array_fill('{"type":"New"}'::text, array[$3]))`,
      [rooms, user, BATCH, body],
    )
  }
}

/** @returns the largest memory that the process was seen with meanwhile */
async function untilIdle(sql: pg.Client, pid?: number): Promise<number> {
  let peak = 0
  for (;;) {
    if (pid !== undefined) peak = Math.max(peak, residentMiB(pid))
    const { rowCount } = await sql.query(
      `select from projection where name = 'archive' and seq >= (select coalesce(max(seq), 0) from event)`,
    )
    if (rowCount === 1) return peak
    await delay(20)
  }
}

function report(results: Result[]): void {
  if (values.json) {
    print(JSON.stringify(results))
    return
  }
  const table = new Table({ head: ['store', 'rooms', 'messages/s', 'spread', 'ISM µs/message', 'peak MiB'] })
  for (const rooms of new Set(results.map((result) => result.rooms))) {
    const medians = nodes.map(({ store }) => {
      const group = results.filter((result) => result.store === store && result.rooms === rooms)
      const rates = group.map(({ rate }) => rate).sort((a, b) => a - b)
      const median = rates[Math.floor(rates.length / 2)] ?? 0
      table.push([
        store,
        rooms,
        Math.round(median),
        `${Math.round(rates[0] ?? 0)} to ${Math.round(rates.at(-1) ?? 0)}`,
        Math.round(Math.min(...group.map(({ ismCpu }) => ismCpu))),
        Math.round(Math.max(...group.map(({ peakMiB }) => peakMiB))),
      ])
      return median
    })
    print(`${rooms} rooms: Cassandra at ${((medians[1] ?? 0) / (medians[0] ?? 1)).toFixed(2)} of PostgreSQL`)
  }
  print(table.toString())
}
