/** What the runs come to. */
import type { Series } from '../suite/bench.ts'
import { quantile, ratios, sorted } from '../suite/statistics.ts'
import { WITHOUT_NCHAN } from './nchan-target.ts'
import type { Opened, Run } from './runs.ts'
import { SMALL_ROOMS } from './target.ts'

export const ONE_ROOM = 'one room'
export const BURST = 'burst of 16'
export const SMALL = `${SMALL_ROOMS} rooms`

const ISM = 'ISM'
const NCHAN = 'nchan'

export type Measurements = {
  /** By load, connections and server. */
  runs: Map<string, Run[]>
  /** By server, everybody's room only. */
  opened: Map<string, Opened>
}

const COLUMNS = [
  { head: 'deliveries/CPU-s', digits: 0 },
  { head: 'of ISM with PostgreSQL', digits: 0 },
  { head: 'µs each', digits: 2 },
  { head: 'of it kernel', digits: 2 },
  { head: 'deliveries/s', digits: 0 },
  { head: 'p50 ms', digits: 1 },
  { head: 'p99 ms', digits: 1 },
  { head: 'GET p99 ms', digits: 1 },
  { head: 'readers % of a core', digits: 0 },
]

const perCpuSecond = (run: Run) => run.deliveries / run.serverCpu
const p = (q: number) => (run: Run) => quantile(sorted(run.latencies), q)
const unrelatedP99 = (run: Run) => quantile(sorted(run.unrelated), 0.99)

export function report({ runs, opened }: Measurements, servers: string[], connections: readonly number[]) {
  const of = (load: string, size: number, server: string) => runs.get(`${load} ${size} ${server}`) ?? []
  const most = Math.max(...connections)
  const loads = [
    ...connections.flatMap((size) => [ONE_ROOM, BURST].map((load) => ({ load, size }))),
    { load: SMALL, size: most },
  ]
  const rows = loads.flatMap(({ load, size }) =>
    servers
      .filter((server) => of(load, size, server).length > 0)
      .map((server) => ({ labels: [load, size, server], values: valuesOf(of(load, size, server)) })),
  )
  const ratio = (load: string, size: number, value: (run: Run) => number): Series =>
    ratios(of(load, size, ISM).map(value), of(load, size, NCHAN).map(value))
  const kib = (server: string) => opened.get(server)?.kib ?? Number.NaN
  const has = (size: number) => connections.includes(size)
  const compared = servers.includes(NCHAN)
  return {
    tables: [
      { title: 'Events', labels: ['load', 'streams', ''], columns: COLUMNS, rows },
      {
        title: 'Streams',
        labels: [''],
        columns: [
          { head: 'streams', digits: 0 },
          { head: 'KiB each', digits: 1 },
          { head: 'opened/s', digits: 0 },
        ],
        rows: [...opened].map(([server, { streams, kib, perSecond }]) => ({
          labels: [server],
          values: [[streams], [kib], [perSecond]],
        })),
      },
    ],
    reached: {
      unrelated: loads.flatMap(({ load, size }) => of(load, size, ISM).map(unrelatedP99)),
      ...(compared && {
        memory: [kib(ISM) / kib(NCHAN)],
        ...(has(1_000) && { fanOut: ratio(ONE_ROOM, 1_000, perCpuSecond), p50: ratio(ONE_ROOM, 1_000, p(0.5)) }),
        ...(has(5_000) && { p50Many: ratio(ONE_ROOM, 5_000, p(0.5)) }),
        ...(has(10_000) && {
          fanOutMany: ratio(ONE_ROOM, 10_000, perCpuSecond),
          burst: ratio(BURST, 10_000, perCpuSecond),
        }),
      }),
    },
    skipped: skippedOf(compared, connections),
    charts: [
      {
        name: 'streams',
        title: 'Deliveries a CPU-second',
        unit: 'deliveries/CPU-s',
        bars: rows.map(({ labels: [load, size, server], values: [series = []] }) => ({
          label: `${load}, ${size} streams`,
          side: String(server),
          series,
        })),
      },
    ],
  }
}

type TargetName = 'fanOut' | 'fanOutMany' | 'burst' | 'memory' | 'p50' | 'p50Many' | 'unrelated'

function skippedOf(compared: boolean, connections: readonly number[]) {
  const all: TargetName[] = ['fanOut', 'fanOutMany', 'burst', 'memory', 'p50', 'p50Many']
  if (!compared) return [{ what: 'nchan', targets: all, why: WITHOUT_NCHAN }]
  const large: TargetName[] = connections.includes(10_000) ? [] : ['fanOutMany', 'burst', 'p50Many']
  return large.length > 0 ? [{ what: 'thousands of streams', targets: large, why: 'fewer streams were asked for' }] : []
}

function valuesOf(runs: Run[]): Series[] {
  return [
    perCpuSecond,
    (run: Run) => run.deliveries / (run.serverCpu + run.storeCpu),
    (run: Run) => (run.serverCpu / run.deliveries) * 1e6,
    (run: Run) => (run.systemCpu / run.deliveries) * 1e6,
    (run: Run) => run.deliveries / run.wall,
    p(0.5),
    p(0.99),
    unrelatedP99,
    (run: Run) => (run.readerCpu / run.wall) * 100,
  ].map((value) => runs.map(value))
}
