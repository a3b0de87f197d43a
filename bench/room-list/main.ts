/** `GET /api/rooms` of somebody with very many rooms, and of somebody with a few; and how many statements it takes. */
import { get } from 'node:http'
import { defineBench } from '../suite/bench.ts'
import { ratios } from '../suite/statistics.ts'
import { HttpConnection, requestText } from '../support/http-client.ts'
import { openLoad } from '../support/load/load.ts'
import { appendToEach, newPeople, newRooms, seedPeople, seedRooms } from '../support/seed.ts'
import { METRICS_TOKEN, onStage } from '../support/stage.ts'

type Measured = { rooms: number; token: string; p50: number[]; p99: number[]; statements: number[] }

const ROOM_SIZE = 10
/** For counting statements. */
const CALLS = 50

export const roomList = defineBench({
  name: 'room-list',
  about: 'GET /api/rooms of somebody in a thousand rooms, against somebody in ten',
  settings: {
    many: { full: 1_000, small: 200, doc: 'rooms of the one' },
    few: { full: 10, small: 10, doc: 'rooms of the other' },
    seconds: { full: 3, small: 0.5, doc: 'a side and round' },
    rounds: { full: 5, small: 1, doc: 'turns of the sides' },
  },
  targets: {
    time: { what: 'p50 with many rooms', against: 'with few', bound: 'at most', value: 12, unit: '×' },
    statements: { what: 'statements for the list of many', bound: 'at most', value: 1, unit: '' },
  },
  run: ({ settings, say, profiling }) =>
    onStage(async (stage) => {
      const ism = await stage.startIsm({ nodeOptions: profiling })
      const sql = await stage.connect()
      const [someMany, someFew, ...others] = newPeople(500)
      if (!someMany || !someFew) throw new Error('nobody is there')
      const roomsOf = (person: typeof someMany, count: number) =>
        newRooms(others, count, ROOM_SIZE - 1).map(({ id, members }) => ({ id, members: [person, ...members] }))
      const rooms = [...roomsOf(someMany, settings.many), ...roomsOf(someFew, settings.few)]
      await seedPeople(sql, [someMany, someFew, ...others])
      await seedRooms(sql, rooms)
      for (let n = 0; n < 3; n++) await appendToEach(sql, rooms, `What was said last in this room, for the time ${n}.`)
      await sql.end()
      const [manyToken = '', fewToken = ''] = await stage.tokensOf([someMany, someFew])
      const many: Measured = { rooms: settings.many, token: manyToken, p50: [], p99: [], statements: [] }
      const few: Measured = { rooms: settings.few, token: fewToken, p50: [], p99: [], statements: [] }
      for (const side of [few, many]) await measure(ism.port, side, Math.min(1, settings.seconds))
      for (const side of [few, many]) for (const series of [side.p50, side.p99, side.statements]) series.length = 0
      for (let round = 1; round <= settings.rounds; round++) {
        say(`round ${round}`)
        for (const side of [few, many]) await measure(ism.port, side, settings.seconds)
      }
      return report(few, many)
    }),
})

async function measure(port: number, { rooms, token, p50, p99, statements }: Measured, seconds: number): Promise<void> {
  const load = await openLoad(port, 1)
  try {
    const ran = await load.run({ requests: [requestText('GET', '/api/rooms', token)], seconds })
    p50.push(ran.p50)
    p99.push(ran.p99)
  } finally {
    await load.stop()
  }
  statements.push(await statementsOf(port, token, rooms))
}

/** As ISM counts them, one after the other; those of its housekeeping come more seldom than the calls. */
async function statementsOf(port: number, token: string, rooms: number): Promise<number> {
  const connection = await HttpConnection.open(port)
  try {
    const before = await statementCounts(port)
    for (let n = 0; n < CALLS; n++) {
      const { status, body } = await connection.request('GET', '/api/rooms', token)
      if (status !== 200 || JSON.parse(body).length !== rooms) throw new Error(`${status} ${body.slice(0, 300)}`)
    }
    const after = await statementCounts(port)
    const often = [...after].map(([name, count]) => count - (before.get(name) ?? 0)).filter((count) => count >= CALLS)
    return often.reduce((a, b) => a + b, 0) / CALLS
  } finally {
    connection.close()
  }
}

async function statementCounts(port: number): Promise<Map<string, number>> {
  const text = await new Promise<string>((resolve, reject) => {
    const headers = { authorization: `Bearer ${METRICS_TOKEN}` }
    get({ host: '127.0.0.1', port, path: '/metrics', headers }, (response) => {
      let received = ''
      response.setEncoding('utf8')
      response.on('data', (part) => {
        received += part
      })
      response.on('end', () => resolve(received))
    }).on('error', reject)
  })
  const counts = [...text.matchAll(/^ism_postgres_queries_total\{name="([^"]+)"\} (\d+)$/gm)]
  return new Map(counts.map(([, name = '', count]) => [name, Number(count)]))
}

function report(few: Measured, many: Measured) {
  const row = ({ rooms, p50, p99, statements }: Measured) => ({ labels: [rooms], values: [p50, p99, statements] })
  return {
    tables: [
      {
        title: 'GET /api/rooms, one after the other',
        labels: ['rooms'],
        columns: [
          { head: 'p50 ms', digits: 2 },
          { head: 'p99 ms', digits: 2 },
          { head: 'statements', digits: 2 },
        ],
        rows: [row(few), row(many)],
      },
    ],
    reached: { time: ratios(many.p50, few.p50), statements: many.statements },
    charts: [
      {
        name: 'room-list',
        title: 'GET /api/rooms, p50',
        unit: 'ms',
        bars: [few, many].map(({ rooms, p50 }) => ({ label: `${rooms} rooms`, side: 'ISM', series: p50 })),
      },
    ],
  }
}
