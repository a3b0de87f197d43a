/** Sends over HTTP, held against the bare append function; with Cassandra archiving at once; into rooms of every size. */
import { defineBench } from '../suite/bench.ts'
import { makeKeyspace } from '../support/cassandra.ts'
import { onStage, type Stage } from '../support/stage.ts'
import { BARE, CASSANDRA, HTTP, keyOf, LARGE_ROOM, report, SENDERS, SMALL_ROOM, USUAL_ROOM } from './report.ts'
import { makeScene } from './scene.ts'
import { bareSide, httpSide, type Sent, type Side } from './sides.ts'

export const send = defineBench({
  name: 'send',
  about: 'sends over HTTP, against the bare append function called in batches by a plain script',
  settings: {
    senders: { full: [1, 16, SENDERS, 256], small: [SENDERS], doc: 'senders at once' },
    sizes: {
      full: [SMALL_ROOM, USUAL_ROOM, 100, LARGE_ROOM],
      small: [SMALL_ROOM, LARGE_ROOM],
      doc: 'members of a room',
    },
    rooms: { full: 100, small: 10, doc: 'rooms of each size' },
    seconds: { full: 10, small: 1, doc: 'a side and round' },
    rounds: { full: 3, small: 1, doc: 'turns of the sides' },
  },
  targets: {
    bare: {
      what: `sends/s, ${SENDERS} senders`,
      against: 'bare append',
      bound: 'at least',
      value: 0.45,
      unit: '×',
    },
    cassandra: {
      what: `sends/s, ${SENDERS} senders, Cassandra archiving at once`,
      against: 'PostgreSQL alone',
      bound: 'at least',
      value: 0.7,
      unit: '×',
    },
    lag: {
      what: 'archived into Cassandra in the second half of the load',
      against: 'sent in it: its lag is bounded',
      bound: 'at least',
      value: 0.9,
      unit: '×',
    },
    cpu: { what: `CPU a send of ISM, ${SENDERS} senders, archive included`, bound: 'at most', value: 110, unit: 'µs' },
    sizes: {
      what: `sends/s into rooms of ${LARGE_ROOM}`,
      against: `rooms of ${SMALL_ROOM}`,
      bound: 'at least',
      value: 0.8,
      unit: '×',
    },
  },
  run: ({ settings, say, profiling }) =>
    onStage(async (stage) => {
      const keyspace = await makeKeyspace()
      const sides = await startSides(stage, settings, profiling, keyspace?.sections)
      try {
        const results = new Map<string, Sent[]>()
        const run = async (side: Side, senders: number, size: number, seconds: number) => {
          const sent = await side.run(senders, size, seconds)
          const key = keyOf(senders, size, side.name)
          results.set(key, [...(results.get(key) ?? []), sent])
        }
        for (const side of sides) await side.run(SENDERS, USUAL_ROOM, Math.min(3, settings.seconds))
        for (const senders of settings.senders) {
          say(`${senders} senders`)
          for (let round = 0; round < settings.rounds; round++)
            for (const side of sides) await run(side, senders, USUAL_ROOM, settings.seconds)
        }
        const [http] = sides
        const others = settings.sizes.filter((size) => size !== USUAL_ROOM || !settings.senders.includes(SENDERS))
        say(`rooms of ${others.join(', ')}`)
        for (let round = 0; round < settings.rounds; round++)
          for (const size of others) if (http) await run(http, SENDERS, size, settings.seconds)
        return report(results, settings, keyspace !== undefined)
      } finally {
        for (const side of sides) await side.stop()
        await keyspace?.drop()
      }
    }),
})

async function startSides(
  stage: Stage,
  { sizes, rooms }: { sizes: readonly number[]; rooms: number },
  nodeOptions: string[],
  cassandra: string | undefined,
): Promise<Side[]> {
  const scene = await makeScene(stage, [...new Set([...sizes, USUAL_ROOM])], rooms)
  const sides = [await httpSide(stage, scene, HTTP, { nodeOptions }), await bareSide(stage, scene, BARE)]
  if (cassandra)
    sides.push(await httpSide(stage, scene, CASSANDRA, { database: 'cassandra', sections: cassandra, nodeOptions }))
  return sides
}
