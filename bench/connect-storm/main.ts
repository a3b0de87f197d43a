/** Thousands of clients open a stream at once: on a node that was just started, and on one that knows them. */
import { setTimeout as delay } from 'node:timers/promises'
import { defineBench } from '../suite/bench.ts'
import { now } from '../support/clock.ts'
import { type Crowd, makeCrowd } from '../support/crowd.ts'
import { cpuSeconds, openFiles, residentMiB } from '../support/processes.ts'
import { type Ism, onStage } from '../support/stage.ts'
import { Readers, streamRequest } from '../support/streams/readers.ts'
import { unrelatedDuring } from '../support/unrelated.ts'

type Measured = {
  seconds: number
  ismCpu: number
  readerCpu: number
  unrelatedP99: number
  unrelatedMax: number
  kib: number
}

/** Connections to the database and the like, which come and go. */
const SPARE_FILES = 50
const CLOSED_WITHIN_MS = 30_000
/** What a storm leaves to do is not the next one's. */
const REST_MS = 1_000

const SIDES = ['just started', 'knows them'] as const

export const connectStorm = defineBench({
  name: 'connect-storm',
  about: 'clients that all open a stream at once: on a node that was just started, against one that knows them',
  settings: {
    clients: { full: 10_000, small: 200, doc: 'streams that are opened' },
    watch: { full: 6, small: 2, doc: 'seconds for which the unrelated call is watched' },
    rounds: { full: 3, small: 1, doc: 'turns of the sides' },
  },
  targets: {},
  run: ({ settings, say, profiling }) =>
    onStage(async (stage) => {
      const { clients, watch, rounds } = settings
      const start = () => stage.startIsm({ nodeOptions: profiling, connections: clients + 50 })
      const first = await start()
      const crowd = await makeCrowd(stage, clients)
      const sql = await stage.connect()
      await crowd.fill(sql)
      await sql.end()
      await first.stop()
      const results = SIDES.map((): Measured[] => [])
      for (let round = 1; round <= rounds; round++) {
        say(`round ${round}`)
        const ism = await start()
        for (const side of results) side.push(await storm(ism, crowd, watch))
        await ism.stop()
      }
      return report(results, clients)
    }),
})

async function storm(ism: Ism, { tokens, unrelated }: Crowd, watch: number): Promise<Measured> {
  const readers = new Readers(tokens.length)
  const files = openFiles(ism.pid)
  try {
    const memory = residentMiB(ism.pid)
    const before = cpuSeconds(ism.pid)
    const heads = tokens.map((token) => streamRequest(token))
    const done = await unrelatedDuring(ism.port, unrelated, watch, async () => {
      const from = now()
      const seconds = await readers.open(ism.port, heads, heads.length)
      return { from, to: now(), seconds, ismCpu: cpuSeconds(ism.pid) - before }
    })
    return { ...done, readerCpu: readers.cpuSeconds, kib: ((residentMiB(ism.pid) - memory) * 1_024) / tokens.length }
  } finally {
    await readers.stop()
    // It may hold as many again only once these are closed.
    const deadline = now() + CLOSED_WITHIN_MS
    while (openFiles(ism.pid) > files + SPARE_FILES && now() < deadline) await delay(50)
    await delay(REST_MS)
  }
}

function report(results: Measured[][], clients: number) {
  const rows = results.map((measured, index) => ({
    labels: [SIDES[index] ?? ''],
    values: [
      measured.map(({ seconds }) => seconds),
      measured.map(({ seconds }) => clients / seconds),
      measured.map(({ ismCpu }) => (ismCpu / clients) * 1e6),
      measured.map(({ readerCpu }) => (readerCpu / clients) * 1e6),
      measured.map(({ unrelatedP99 }) => unrelatedP99),
      measured.map(({ unrelatedMax }) => unrelatedMax),
      measured.map(({ kib }) => kib),
    ],
  }))
  return {
    tables: [
      {
        title: `${clients} streams at once`,
        labels: ['the node'],
        columns: [
          { head: 'all open s', digits: 2 },
          { head: 'opened/s', digits: 0 },
          { head: 'ISM µs each', digits: 0 },
          { head: 'readers µs each', digits: 0 },
          { head: 'unrelated GET p99 ms', digits: 1 },
          { head: 'max ms', digits: 1 },
          { head: 'grown by KiB each', digits: 1 },
        ],
        rows,
      },
    ],
    reached: {},
    charts: [
      {
        name: 'connect-storm',
        title: `${clients} streams opened at once`,
        unit: 'streams/s',
        bars: rows.map(({ labels: [side = ''], values: [, opened = []] }) => ({
          label: `node ${side}`,
          side: 'ISM',
          series: opened,
        })),
      },
    ],
  }
}
