/** Sends while somebody holds a snapshot of the database open, as a dump does: nothing that ISM does may pile up behind it. */
import { makeScene } from '../send/scene.ts'
import { httpSide } from '../send/sides.ts'
import { defineBench } from '../suite/bench.ts'
import { onStage } from '../support/stage.ts'

const SENDERS = 64
const ROOM_SIZE = 10

export const snapshot = defineBench({
  name: 'snapshot',
  about: 'sends after a snapshot of the database was held open under load, against sends before',
  settings: {
    minutes: { full: 1, small: 0.05, doc: 'for which it is held open, while the senders go on' },
    rooms: { full: 100, small: 10, doc: `rooms of ${ROOM_SIZE}` },
    seconds: { full: 6, small: 1, doc: 'a round' },
    rounds: { full: 3, small: 1, doc: 'rounds before, and at the end with the snapshot open' },
  },
  targets: {
    kept: {
      what: `sends/s, ${SENDERS} senders, with a snapshot open`,
      against: 'without',
      bound: 'at least',
      value: 0.8,
      unit: '×',
    },
  },
  run: ({ settings, say, profiling }) =>
    onStage(async (stage) => {
      const { minutes, rooms, seconds, rounds } = settings
      const scene = await makeScene(stage, [ROOM_SIZE], rooms)
      const side = await httpSide(stage, scene, 'ISM', { nodeOptions: profiling })
      const rates = async () => {
        const found: number[] = []
        for (let round = 0; round < rounds; round++) found.push((await side.run(SENDERS, ROOM_SIZE, seconds)).rate)
        return found
      }
      await side.run(SENDERS, ROOM_SIZE, Math.min(3, seconds))
      const without = await rates()
      const holder = await stage.connect()
      await holder.query('begin isolation level repeatable read')
      await holder.query('select count(*) from event')
      say(`a snapshot is held for ${minutes} minutes`)
      const until = performance.now() + minutes * 60_000
      while (performance.now() < until) await side.run(SENDERS, ROOM_SIZE, seconds)
      const held = await rates()
      await holder.query('commit')
      await holder.end()
      await side.stop()
      return {
        tables: [
          {
            title: `${SENDERS} senders, rooms of ${ROOM_SIZE}`,
            labels: ['snapshot'],
            columns: [{ head: 'sends/s', digits: 0 }],
            rows: [
              { labels: ['none'], values: [without] },
              { labels: [`open for ${minutes} minutes`], values: [held] },
            ],
          },
        ],
        reached: { kept: held.map((rate, round) => rate / (without[round] ?? Number.NaN)) },
      }
    }),
})
