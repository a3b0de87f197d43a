/** ISM beside nginx with nchan, by turns: deliveries a CPU-second, latency, memory a connection, connect rate. */
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { defineBench } from '../suite/bench.ts'
import { residentMiB } from '../support/processes.ts'
import { onStage, type Stage } from '../support/stage.ts'
import { Readers } from '../support/streams/readers.ts'
import { startFloor } from './floor-target.ts'
import { startIsm } from './ism-target.ts'
import { hasNchan, startNchan } from './nchan-target.ts'
import { BURST, type Measurements, ONE_ROOM, report, SMALL } from './report.ts'
import { type Load, open, run, runAlone, warmUp } from './runs.ts'
import { smallRoomsLoad } from './small-rooms.ts'
import { SMALL_ROOMS, type Target } from './target.ts'

const BURST_SIZE = 16
const WARM_UP_CONNECTIONS = 200

export const streams = defineBench({
  name: 'streams',
  about: 'events to open streams, ISM with all that belongs to it, against nginx with nchan',
  settings: {
    connections: {
      full: [1_000, 5_000, 10_000],
      small: [1_000],
      doc: `streams, one after the other; the last also in ${SMALL_ROOMS} rooms`,
    },
    seconds: { full: 3, small: 0.5, doc: 'a side and round' },
    rest: {
      full: 30,
      small: 0.2,
      doc: 'seconds before each look at memory: garbage that nobody collects yet is not counted',
    },
    rounds: { full: 3, small: 1, doc: 'turns of the sides' },
  },
  targets: {
    fanOut: against('deliveries a CPU-second, 1,000 streams, one room', 'at least', 1.1),
    fanOutMany: against('deliveries a CPU-second, 10,000 streams, one room', 'at least', 1.6),
    burst: against(`deliveries a CPU-second, 10,000 streams, a burst of ${BURST_SIZE}`, 'at least', 8),
    memory: against('memory a stream', 'at most', 0.35),
    p50: against('p50 from commit to client, 1,000 streams', 'at most', 0.95),
    p50Many: against('p50 from commit to client, 5,000 streams', 'at most', 0.7),
    unrelated: { what: 'p99 of an unrelated GET during a flood', bound: 'at most', value: 5, unit: 'ms' },
  },
  run: ({ settings, say, profiling }) =>
    onStage(async (stage) => {
      const measured: Measurements = { runs: new Map(), opened: new Map() }
      const targets = await startTargets(stage, Math.max(...settings.connections), profiling)
      try {
        await atRest(targets, settings, measured, say)
        await inEverybodysRoom(targets, settings, measured, say)
        await inSmallRooms(
          targets.filter(({ isFloor }) => !isFloor),
          settings,
          measured,
          say,
        )
        return report(
          measured,
          targets.map(({ name }) => name),
          settings.connections,
        )
      } finally {
        for (const target of targets) await target.stop()
      }
    }),
})

type Settings = Parameters<typeof streams.run>[0]['settings']

function against(what: string, bound: 'at least' | 'at most', value: number) {
  return { what, against: 'nchan', bound, value, unit: '×' } as const
}

async function startTargets(stage: Stage, most: number, nodeOptions: string[]): Promise<Target[]> {
  const ism = await startIsm(stage, most, nodeOptions)
  const payload = await payloadOf(ism)
  const floor = await startFloor(payload, most)
  return hasNchan() ? [ism, await startNchan(payload, most), floor] : [ism, floor]
}

/** All streams at once, on servers that have done nothing yet but warm up. */
async function atRest(
  targets: Target[],
  settings: Settings,
  measured: Measurements,
  say: (line: string) => void,
): Promise<void> {
  const most = Math.max(...settings.connections)
  say(`${most} streams at rest`)
  for (const target of targets) await warmUp(target, Math.min(most, WARM_UP_CONNECTIONS))
  await delay(settings.rest * 1_000)
  const before = targets.map(({ pid }) => residentMiB(pid))
  await withReaders(targets, most, async (readers) => {
    const seconds: number[] = []
    for (const [target, each] of readers) seconds.push(await open(target, each, 'everybody', { from: 0, to: most }))
    await delay(settings.rest * 1_000)
    for (const [n, { name, pid }] of targets.entries()) {
      const kib = ((residentMiB(pid) - (before[n] ?? 0)) * 1_024) / most
      measured.opened.set(name, { streams: most, kib, perSecond: most / (seconds[n] ?? 0) })
    }
  })
}

async function inEverybodysRoom(
  targets: Target[],
  settings: Settings,
  measured: Measurements,
  say: (line: string) => void,
): Promise<void> {
  await withReaders(targets, Math.max(...settings.connections), async (readers) => {
    let count = 0
    for (const size of settings.connections.toSorted((one, other) => one - other)) {
      say(`${size} streams`)
      for (const [target, each] of readers) await open(target, each, 'everybody', { from: count, to: size })
      count = size
      const one: Load = { name: ONE_ROOM, rooms: () => ['everybody'], deliveries: () => size }
      const burst: Load = {
        name: BURST,
        rooms: () => Array(BURST_SIZE).fill('everybody'),
        deliveries: () => size * BURST_SIZE,
      }
      await byTurns(readers, [one, burst], size, settings, measured)
    }
  })
}

async function inSmallRooms(
  targets: Target[],
  settings: Settings,
  measured: Measurements,
  say: (line: string) => void,
): Promise<void> {
  const most = Math.max(...settings.connections)
  say(`${most} streams in ${SMALL_ROOMS} rooms`)
  await withReaders(targets, most, async (readers) => {
    for (const [target, each] of readers) await open(target, each, 'small', { from: 0, to: most })
    await byTurns(readers, [{ name: SMALL, ...smallRoomsLoad(most) }], most, settings, measured)
  })
}

async function withReaders(
  targets: Target[],
  connections: number,
  work: (readers: Map<Target, Readers>) => Promise<void>,
): Promise<void> {
  const readers = new Map(targets.map((target) => [target, new Readers(connections)]))
  try {
    await work(readers)
  } finally {
    for (const each of readers.values()) await each.stop()
  }
}

async function byTurns(
  readers: Map<Target, Readers>,
  loads: Load[],
  connections: number,
  { rounds, seconds }: Settings,
  { runs }: Measurements,
): Promise<void> {
  const carried = loads.flatMap((load) =>
    [...readers]
      .filter(([{ isFloor }]) => !isFloor || load.name === ONE_ROOM)
      .map((reader) => [load, ...reader] as const),
  )
  for (const [load, target, each] of carried) await runAlone(target, each, load, Math.min(0.5, seconds))
  for (let round = 0; round < rounds; round++)
    for (const [load, target, each] of carried)
      add(runs, `${load.name} ${connections} ${target.name}`, await run(target, each, load, seconds))
}

function add<Value>(map: Map<string, Value[]>, key: string, value: Value): void {
  map.set(key, [...(map.get(key) ?? []), value])
}

/** The data of an event as ISM sends it. */
async function payloadOf(target: Target): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port: target.port })
  socket.write(target.listen(0, 'everybody'))
  let text = ''
  let isTold = false
  for await (const chunk of socket.setEncoding('utf8')) {
    text += chunk
    if (!isTold && text.includes('event: cursor')) {
      isTold = true
      await target.publish(['everybody'])
    }
    const data = /^data: (.+"ChatMessage".+)\n\n/m.exec(text)?.[1]
    if (data) return data
  }
  throw new Error('the stream ended')
}
