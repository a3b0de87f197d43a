/** What the rounds come to. */
import type { Row, Series } from '../suite/bench.ts'
import { ratios } from '../suite/statistics.ts'
import { WITHOUT_CASSANDRA } from '../support/cassandra.ts'
import type { Sent } from './sides.ts'

export const HTTP = 'ISM'
export const BARE = 'bare append'
export const CASSANDRA = 'ISM, Cassandra'
/** What the targets are about. */
export const SENDERS = 64
export const SMALL_ROOM = 2
export const USUAL_ROOM = 10
export const LARGE_ROOM = 1_000

const COLUMNS = [
  { head: 'sends/s', digits: 0 },
  { head: 'p50 ms', digits: 1 },
  { head: 'p99 ms', digits: 1 },
  { head: 'ISM µs/send', digits: 0 },
  { head: 'PostgreSQL µs/send', digits: 0 },
  { head: 'load µs/send', digits: 0 },
]

export const keyOf = (senders: number, size: number, side: string) => `${senders} ${size} ${side}`

/** @param results by `keyOf` */
export function report(
  results: Map<string, Sent[]>,
  { senders, sizes }: { senders: readonly number[]; sizes: readonly number[] },
  withCassandra: boolean,
) {
  const sides = [HTTP, BARE, ...(withCassandra ? [CASSANDRA] : [])]
  const of = (count: number, size: number, side: string) => results.get(keyOf(count, size, side)) ?? []
  const series = (sent: Sent[], key: keyof Sent): Series => sent.map((each) => each[key] ?? Number.NaN)
  const row = (label: number, side: string, sent: Sent[]): Row => ({
    labels: [label, side],
    values: [
      series(sent, 'rate'),
      series(sent, 'p50'),
      series(sent, 'p99'),
      sent[0]?.ismCpu === undefined ? undefined : series(sent, 'ismCpu'),
      series(sent, 'postgresCpu'),
      series(sent, 'loadCpu'),
    ],
  })
  const bySenders = senders.flatMap((count) => sides.map((side) => row(count, side, of(count, USUAL_ROOM, side))))
  const bySize = sizes.map((size) => row(size, HTTP, of(SENDERS, size, HTTP)))
  const http = of(SENDERS, USUAL_ROOM, HTTP)
  const cassandra = of(SENDERS, USUAL_ROOM, CASSANDRA)
  const has = senders.includes(SENDERS)
  return {
    tables: [
      { title: `Rooms of ${USUAL_ROOM}`, labels: ['senders', ''], columns: COLUMNS, rows: bySenders },
      { title: `${SENDERS} senders`, labels: ['members', ''], columns: COLUMNS, rows: bySize },
    ],
    reached: {
      ...(has && {
        bare: ratios(series(http, 'rate'), series(of(SENDERS, USUAL_ROOM, BARE), 'rate')),
        cpu: series(http, 'ismCpu'),
      }),
      ...(has &&
        withCassandra && {
          cassandra: ratios(series(cassandra, 'rate'), series(http, 'rate')),
          lag: series(cassandra, 'archivedShare'),
        }),
      ...(sizes.includes(SMALL_ROOM) &&
        sizes.includes(LARGE_ROOM) && {
          sizes: ratios(series(of(SENDERS, LARGE_ROOM, HTTP), 'rate'), series(of(SENDERS, SMALL_ROOM, HTTP), 'rate')),
        }),
    },
    skipped: withCassandra
      ? []
      : [{ what: 'Cassandra', targets: ['cassandra' as const, 'lag' as const], why: WITHOUT_CASSANDRA }],
    charts: [
      {
        name: 'send',
        title: `Sends a second, rooms of ${USUAL_ROOM}`,
        unit: 'sends/s',
        bars: bySenders.map(({ labels: [count, side = ''], values: [rate = []] }) => ({
          label: `${count} senders`,
          side: String(side),
          series: rate,
        })),
      },
      {
        name: 'send-room-sizes',
        title: `Sends a second by members of a room, ${SENDERS} senders`,
        unit: 'sends/s',
        bars: bySize.map(({ labels: [size], values: [rate = []] }) => ({
          label: `rooms of ${size}`,
          side: HTTP,
          series: rate,
        })),
      },
    ],
  }
}
