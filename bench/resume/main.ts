/** A node dies, and all who listened to it come back to another one at once, each with an event that they missed. */
import { defineBench } from '../suite/bench.ts'
import { now } from '../support/clock.ts'
import { type Crowd, makeCrowd } from '../support/crowd.ts'
import { HttpConnection } from '../support/http-client.ts'
import { cpuSeconds } from '../support/processes.ts'
import { appendToEach } from '../support/seed.ts'
import { type Ism, onStage } from '../support/stage.ts'
import { Readers, streamRequest } from '../support/streams/readers.ts'
import { unrelatedDuring } from '../support/unrelated.ts'

type Measured = {
  /** Seconds from the node's end. */
  allOpen: number
  allLive: number
  /** Attempts that were refused. */
  again: number
  unrelatedP99: number
  unrelatedMax: number
  ismCpu: number
  readerCpu: number
}

const MISSED_TEXT = 'Said while the node was frozen, and so missed by all who listened to it.'

export const resume = defineBench({
  name: 'resume',
  about: 'clients of a node that was killed come back to another one at once, each with an event that they missed',
  settings: {
    clients: { full: 10_000, small: 200, doc: 'streams on the node that dies' },
    watch: { full: 8, small: 2, doc: 'seconds for which the unrelated call is watched' },
    rounds: { full: 3, small: 1, doc: 'nodes that die, one after the other' },
  },
  targets: {
    live: { what: 'until all clients are live', bound: 'at most', value: 5, unit: 's' },
    unrelated: { what: 'p99 of an unrelated GET meanwhile', bound: 'at most', value: 50, unit: 'ms' },
  },
  run: ({ settings, say, profiling }) =>
    onStage(async (stage) => {
      const { clients, watch, rounds } = settings
      const start = () => stage.startIsm({ nodeOptions: profiling, connections: clients + 50 })
      let node = await start()
      const crowd = await makeCrowd(stage, clients)
      const sql = await stage.connect()
      await crowd.fill(sql)
      const readers = new Readers(clients)
      try {
        await readers.open(
          node.port,
          crowd.tokens.map((token) => streamRequest(token)),
        )
        const measured: Measured[] = []
        for (let round = 1; round <= rounds; round++) {
          say(`round ${round}`)
          const survivor = await start()
          const missed = () => appendToEach(sql, crowd.rooms, MISSED_TEXT)
          measured.push(await killAndWatch({ node, survivor, crowd, readers, missed, watch }))
          // Everybody is live: what is said now arrives once with each.
          const arrivals = readers.expect(crowd.tokens.length)
          await missed()
          await arrivals
          node = survivor
        }
        return report(measured, clients)
      } finally {
        await readers.stop()
        await sql.end()
      }
    }),
})

async function killAndWatch({
  node,
  survivor,
  crowd,
  readers,
  missed,
  watch,
}: {
  node: Ism
  survivor: Ism
  crowd: Crowd
  readers: Readers
  /** Appends one event for each client. */
  missed: () => Promise<void>
  watch: number
}): Promise<Measured> {
  const cursor = await cursorOf(survivor, crowd)
  process.kill(node.pid, 'SIGSTOP')
  await missed()
  const heads = crowd.tokens.map((token) => streamRequest(token, cursor))
  const cpu = { ism: cpuSeconds(survivor.pid), readers: readers.cpuSeconds }
  await readers.reopenWhenClosed(survivor.port, heads)
  const done = await unrelatedDuring(survivor.port, crowd.unrelated, watch, async () => {
    const from = now()
    await node.kill()
    const { opened, again } = await readers.reopened()
    const { arrivals } = await readers.expect(heads.length)
    return { from, to: arrivals.reduce((a, b) => Math.max(a, b), 0), opened, again }
  })
  return {
    allOpen: (done.opened - done.from) / 1_000,
    allLive: (done.to - done.from) / 1_000,
    again: done.again,
    unrelatedP99: done.unrelatedP99,
    unrelatedMax: done.unrelatedMax,
    ismCpu: cpuSeconds(survivor.pid) - cpu.ism,
    readerCpu: readers.cpuSeconds - cpu.readers,
  }
}

async function cursorOf({ port }: Ism, { outsiderToken }: Crowd): Promise<string> {
  const connection = await HttpConnection.open(port)
  try {
    const { status, body } = await connection.request('GET', '/api/notifications/cursor', outsiderToken)
    if (status !== 200) throw new Error(`cursor: ${status} ${body}`)
    return JSON.parse(body).lastEventId
  } finally {
    connection.close()
  }
}

function report(measured: Measured[], clients: number) {
  const series = (key: keyof Measured) => measured.map((each) => each[key])
  return {
    tables: [
      {
        title: `${clients} clients come back`,
        labels: [''],
        columns: [
          { head: 'all open s', digits: 2 },
          { head: 'all live s', digits: 2 },
          { head: 'refused', digits: 0 },
          { head: 'unrelated GET p99 ms', digits: 1 },
          { head: 'max ms', digits: 1 },
          { head: 'ISM CPU s', digits: 2 },
          { head: 'readers CPU s', digits: 2 },
        ],
        rows: [
          {
            labels: ['a node was killed'],
            values: [
              series('allOpen'),
              series('allLive'),
              series('again'),
              series('unrelatedP99'),
              series('unrelatedMax'),
              series('ismCpu'),
              series('readerCpu'),
            ],
          },
        ],
      },
    ],
    reached: { live: series('allLive'), unrelated: series('unrelatedP99') },
    charts: [
      {
        name: 'resume',
        title: `${clients} clients come back at once`,
        unit: 's',
        bars: [
          { label: 'all open', side: 'ISM', series: series('allOpen') },
          { label: 'all live', side: 'ISM', series: series('allLive') },
        ],
      },
    ],
  }
}
