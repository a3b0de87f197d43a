/** Sends into rooms that have nothing in the log, while a few busy ones fill it, against sends into the busy ones. */
import { defineBench } from '../suite/bench.ts'
import { ratios } from '../suite/statistics.ts'
import { openLoad } from '../support/load/load.ts'
import { appendToEach, newPeople, newRooms, type Room, seedPeople, seedRooms } from '../support/seed.ts'
import { sendRequest } from '../support/sends.ts'
import { onStage } from '../support/stage.ts'

type Measured = { p50: number; p99: number }

const BUSY_ROOMS = 30
const ROOM_SIZE = 2
/** Messages of one append. */
const BATCH = 990

export const quietRooms = defineBench({
  name: 'quiet-rooms',
  about: `sends into quiet rooms while ${BUSY_ROOMS} busy rooms fill the log, against sends into the busy ones`,
  settings: {
    events: { full: 300_000, small: 20_000, doc: 'of the busy rooms, in the log before' },
    rate: { full: 50, small: 50, doc: 'sends a second; each into another quiet room' },
    seconds: { full: 5, small: 1, doc: 'a side and round' },
    rounds: { full: 3, small: 1, doc: 'turns of the sides' },
  },
  targets: {
    quiet: {
      what: 'p50 of a send into a quiet room',
      against: 'into a busy one',
      bound: 'at most',
      value: 1.5,
      unit: '×',
    },
  },
  run: ({ settings, say, profiling }) =>
    onStage(async (stage) => {
      const { events, rate, seconds, rounds } = settings
      const people = newPeople(2 * ROOM_SIZE)
      const busy = newRooms(people, BUSY_ROOMS, ROOM_SIZE)
      const quiet = newRooms(people, rate * seconds * rounds, ROOM_SIZE)
      const ism = await stage.startIsm({ nodeOptions: profiling })
      const sql = await stage.connect()
      await seedPeople(sql, people)
      await seedRooms(sql, [...busy, ...quiet])
      const batch = Array.from({ length: BATCH }, (_, n) => busy[n % BUSY_ROOMS] as Room)
      for (let done = 0; done < events; done += BATCH) await appendToEach(sql, batch, 'Said in a busy room.')
      // As autovacuum does within a minute or so.
      await sql.query('analyze event')
      await sql.end()
      const tokens = new Map((await stage.tokensOf(people)).map((token, n) => [people[n]?.id, token]))
      const requestsTo = (rooms: readonly Room[]) =>
        rooms.map(({ id, members }) => sendRequest(id, tokens.get(members[0]?.id) ?? ''))
      const measure = async (rooms: readonly Room[]): Promise<Measured> => {
        const load = await openLoad(ism.port, 16)
        try {
          return await load.run({ requests: requestsTo(rooms), seconds, rate })
        } finally {
          await load.stop()
        }
      }
      await measure(busy)
      const results: { busy: Measured[]; quiet: Measured[] } = { busy: [], quiet: [] }
      for (let round = 0; round < rounds; round++) {
        say(`round ${round + 1}`)
        results.busy.push(await measure(busy))
        results.quiet.push(await measure(quiet.slice(round * rate * seconds, (round + 1) * rate * seconds)))
      }
      const row = (label: string, measured: Measured[]) => ({
        labels: [label],
        values: [measured.map(({ p50 }) => p50), measured.map(({ p99 }) => p99)],
      })
      return {
        tables: [
          {
            title: `${rate} sends a second, ${events} events in the log`,
            labels: ['into'],
            columns: [
              { head: 'p50 ms', digits: 1 },
              { head: 'p99 ms', digits: 1 },
            ],
            rows: [row('busy rooms', results.busy), row('quiet rooms', results.quiet)],
          },
        ],
        reached: {
          quiet: ratios(
            results.quiet.map(({ p50 }) => p50),
            results.busy.map(({ p50 }) => p50),
          ),
        },
      }
    }),
})
