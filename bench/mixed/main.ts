/** Sends at a fixed rate while thousands listen: how long until the last recipient has it, and what listening costs sends. */
import { setTimeout as delay } from 'node:timers/promises'
import { defineBench } from '../suite/bench.ts'
import { quantile, ratios, sorted } from '../suite/statistics.ts'
import { type Crowd, makeCrowd, ROOM_SIZE } from '../support/crowd.ts'
import { type Load, openLoad, type Ran } from '../support/load/load.ts'
import { cpuSeconds } from '../support/processes.ts'
import { sendRequest } from '../support/sends.ts'
import { type Ism, onStage } from '../support/stage.ts'
import { Readers, streamRequest } from '../support/streams/readers.ts'

type Measured = {
  p50: number
  p99: number
  max: number
  /** From POST to the last recipient; without streams there are none. */
  last?: Float64Array
  ismCpu: number
  loadCpu: number
  readerCpu: number
}

const CONNECTIONS = 64

export const mixed = defineBench({
  name: 'mixed',
  about: 'sends at a fixed rate to people who listen, against the same sends while nobody does',
  settings: {
    streams: { full: 10_000, small: 200, doc: `open streams; people, in rooms of ${ROOM_SIZE}` },
    rate: { full: 500, small: 100, doc: 'sends a second' },
    seconds: { full: 10, small: 2, doc: 'a side and round' },
    rounds: { full: 3, small: 1, doc: 'turns of the sides' },
  },
  targets: {
    post: { what: 'POST p99 with streams', against: 'without', bound: 'at most', value: 2, unit: '×' },
  },
  run: ({ settings, say, profiling }) =>
    onStage(async (stage) => {
      const { streams, rate, seconds, rounds } = settings
      const ism = await stage.startIsm({ nodeOptions: profiling, connections: streams + CONNECTIONS })
      const crowd = await makeCrowd(stage, streams)
      const sql = await stage.connect()
      await crowd.fill(sql)
      await sql.end()
      const load = await openLoad(ism.port, CONNECTIONS)
      const readers = new Readers(streams, true)
      try {
        const requests = requestsOf(crowd)
        await load.run({ requests, seconds: Math.min(3, seconds), rate })
        const without: Measured[] = []
        const listening: Measured[] = []
        for (let round = 1; round <= rounds; round++) {
          say(`round ${round}`)
          without.push(await measure(ism, load, { requests, seconds, rate }))
          await readers.open(
            ism.port,
            crowd.tokens.map((token) => streamRequest(token)),
          )
          await delay(1_000)
          listening.push(await measure(ism, load, { requests, seconds, rate }, readers))
          await readers.closeAll()
          await delay(1_000)
        }
        return report(without, listening, streams)
      } finally {
        await readers.stop()
        await load.stop()
      }
    }),
})

/** Two senders a room. */
function requestsOf({ rooms, tokens }: Crowd): string[] {
  return [0, 1].flatMap((sender) => rooms.map(({ id }, n) => sendRequest(id, tokens[n * ROOM_SIZE + sender] ?? '')))
}

async function measure(ism: Ism, load: Load, plan: Parameters<Load['run']>[0], readers?: Readers): Promise<Measured> {
  const before = { ism: cpuSeconds(ism.pid), readers: readers?.cpuSeconds ?? 0 }
  const ran = await load.run(plan)
  const last = readers && (await lastArrivals(readers, ran))
  const latencies = sorted(ran.answered.map((at, n) => at - (ran.asked[n] ?? Number.NaN)))
  return {
    p50: ran.p50,
    p99: ran.p99,
    max: latencies.at(-1) ?? Number.NaN,
    ...(last && { last }),
    ismCpu: (cpuSeconds(ism.pid) - before.ism) / plan.seconds,
    loadCpu: ran.cpu / plan.seconds,
    readerCpu: ((readers?.cpuSeconds ?? 0) - before.readers) / plan.seconds,
  }
}

/** Sorted, in milliseconds from POST. Everybody in the room hears a send, its sender too. */
async function lastArrivals(readers: Readers, { asked }: Ran): Promise<Float64Array> {
  const { arrivals, numbers } = await readers.expect(asked.length * ROOM_SIZE)
  const last = new Float64Array(asked.length)
  const heard = new Int32Array(asked.length)
  for (const [n, at] of arrivals.entries()) {
    const number = numbers[n] ?? 0
    last[number] = Math.max(last[number] ?? 0, at)
    heard[number] = (heard[number] ?? 0) + 1
  }
  if (!heard.every((count) => count === ROOM_SIZE)) throw new Error('a send was not heard by each of its room')
  return sorted(last.map((at, number) => at - (asked[number] ?? Number.NaN)))
}

function report(without: Measured[], listening: Measured[], streams: number) {
  const series = (measured: Measured[], of: (each: Measured) => number) => measured.map(of)
  const share = (measured: Measured[], key: 'ismCpu' | 'loadCpu' | 'readerCpu') =>
    series(measured, (each) => each[key] * 100)
  const row = (label: string, measured: Measured[]) => ({
    labels: [label],
    values: [
      series(measured, ({ p50 }) => p50),
      series(measured, ({ p99 }) => p99),
      series(measured, ({ max }) => max),
      share(measured, 'ismCpu'),
      share(measured, 'loadCpu'),
      share(measured, 'readerCpu'),
    ],
  })
  const arrival = (q: number) =>
    series(listening, ({ last = new Float64Array() }) => (q === 1 ? (last.at(-1) ?? Number.NaN) : quantile(last, q)))
  const toLast = [
    { head: 'p50', series: arrival(0.5) },
    { head: 'p99', series: arrival(0.99) },
    { head: 'max', series: arrival(1) },
  ]
  return {
    tables: [
      {
        title: 'POST to answer',
        labels: [''],
        columns: [
          ...['p50 ms', 'p99 ms', 'max ms'].map((head) => ({ head, digits: 1 })),
          ...['ISM % of a core', 'load %', 'readers %'].map((head) => ({ head, digits: 0 })),
        ],
        rows: [row('without streams', without), row(`${streams} streams`, listening)],
      },
      {
        title: 'POST to the last recipient',
        labels: [''],
        columns: toLast.map(({ head }) => ({ head: `${head} ms`, digits: 1 })),
        rows: [{ labels: [`${streams} streams`], values: toLast.map((each) => each.series) }],
      },
    ],
    reached: {
      post: ratios(
        series(listening, ({ p99 }) => p99),
        series(without, ({ p99 }) => p99),
      ),
    },
    charts: [
      {
        name: 'mixed',
        title: `From POST to the last recipient, ${streams} streams`,
        unit: 'ms',
        bars: toLast.map(({ head, series: bar }) => ({ label: head, side: 'ISM', series: bar })),
      },
    ],
  }
}
