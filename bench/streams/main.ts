/** ISM beside nginx with nchan, by turns: deliveries a CPU-second, latency, memory a connection, connect rate. */
import { loadavg } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { cpuSeconds, residentMiB, systemSeconds } from '../support/processes.ts'
import { startIsm } from './ism-target.ts'
import { startNchan } from './nchan-target.ts'
import { Readers } from './readers.ts'
import { now, SMALL_ROOMS, type Target } from './target.ts'

const { values } = parseArgs({
  options: {
    /** Connections, one after the other; the last one also for the small rooms. */
    connections: { type: 'string', default: '1000,5000,10000' },
    seconds: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: 'ISM,nchan' },
    /** A directory for a CPU profile of ISM. */
    profile: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})

type Rooms = ('everybody' | number)[]

type Load = {
  name: string
  /** What is published at once; the next follows when all of it has arrived. */
  rooms: (turn: number) => Rooms
  deliveries: number
}

type Result = {
  load: string
  connections: number
  server: string
  deliveries: number
  serverCpu: number
  /** The kernel's part of it. */
  systemCpu: number
  storeCpu: number
  readerCpu: number
  wall: number
  latencies: number[]
  unrelated: number[]
}

/** `kib`: what the server's memory has grown by. */
type Opened = { server: string; room: 'everybody' | 'small'; connections: number; kib: number; seconds: number }

const print = (text: string) => process.stdout.write(`${text}\n`)
const sizes = values.connections.split(',').map(Number)
const most = Math.max(...sizes)
const results: Result[] = []
const opened: Opened[] = []

print(`load average before: ${loadavg()[0]?.toFixed(2)}`)
const ism = await startIsm(most, values.profile ? ['--cpu-prof', `--cpu-prof-dir=${values.profile}`] : [])
const targets: Target[] = []
try {
  targets.push(ism, await startNchan(await payloadOf(ism)))
  const chosen = targets.filter(({ name }) => values.only.split(',').includes(name))
  await inEverybodysRoom(chosen)
  await inSmallRooms(chosen)
  report()
} finally {
  for (const target of targets.length ? targets : [ism]) await target.stop()
}

async function inEverybodysRoom(chosen: Target[]): Promise<void> {
  const readers = new Map(chosen.map((target) => [target, new Readers()]))
  let count = 0
  for (const target of chosen) await warmUp(target)
  for (const size of sizes) {
    for (const [target, each] of readers) await open(target, each, 'everybody', count, size)
    count = size
    const one: Load = { name: 'one room', rooms: () => ['everybody'], deliveries: size }
    const burst: Load = { name: 'burst of 16', rooms: () => Array(16).fill('everybody'), deliveries: size * 16 }
    await byTurns(readers, [one, burst], size)
  }
  for (const each of readers.values()) await each.stop()
}

async function inSmallRooms(chosen: Target[]): Promise<void> {
  const readers = new Map(chosen.map((target) => [target, new Readers()]))
  for (const [target, each] of readers) await open(target, each, 'small', 0, most)
  // A tenth of the rooms at once, another one each time.
  const rooms = (turn: number) =>
    Array.from({ length: SMALL_ROOMS / 10 }, (_, n) => ((turn % 10) * SMALL_ROOMS) / 10 + n)
  await byTurns(readers, [{ name: `${SMALL_ROOMS} rooms`, rooms, deliveries: most / 10 }], most)
  for (const each of readers.values()) await each.stop()
}

/** What is compiled, cached and allocated once is not counted as a connection's. */
async function warmUp(target: Target): Promise<void> {
  const readers = new Readers()
  await readers.open(
    target.port,
    Array.from({ length: 200 }, (_, n) => target.listen(n, 'everybody')),
  )
  for (let n = 0; n < 50; n++) {
    const arrived = readers.expect(200)
    await target.publish(['everybody'])
    await arrived
  }
  await readers.stop()
  await delay(1_000)
}

async function open(target: Target, readers: Readers, room: 'everybody' | 'small', from: number, to: number) {
  const before = residentMiB(target.pid)
  const heads = Array.from({ length: to - from }, (_, n) => target.listen(from + n, room))
  const seconds = await readers.open(target.port, heads)
  await delay(3_000)
  const kib = (residentMiB(target.pid) - before) * 1024
  opened.push({ server: target.name, room, connections: heads.length, kib, seconds })
}

async function byTurns(readers: Map<Target, Readers>, loads: Load[], connections: number): Promise<void> {
  for (const load of loads) for (const [target, each] of readers) await run(target, each, load, 0.5)
  for (let round = 0; round < Number(values.rounds); round++)
    for (const load of loads)
      for (const [target, each] of readers)
        results.push({
          connections,
          ...(await run(target, each, load, Number(values.seconds))),
          unrelated: await unrelatedDuring(target, () => run(target, each, load, Number(values.seconds) / 3)),
        })
}

async function run(
  target: Target,
  readers: Readers,
  load: Load,
  seconds: number,
): Promise<Omit<Result, 'connections' | 'unrelated'>> {
  const latencies: number[] = []
  const cpu = () => [
    cpuSeconds(target.pid),
    target.storePid ? cpuSeconds(target.storePid) : 0,
    readers.cpuSeconds,
    systemSeconds(target.pid),
  ]
  const before = cpu()
  const started = now()
  let deliveries = 0
  for (let turn = 0; now() < started + seconds * 1_000; turn++) {
    const arrived = readers.expect(load.deliveries)
    const { acknowledged, sent } = await target.publish(load.rooms(turn))
    // nchan has no commit: it acknowledges when it has begun to deliver, so there the clock starts when it is told.
    const since = target.storePid ? acknowledged : sent
    for (const at of await arrived) latencies.push(at - since)
    deliveries += load.deliveries
  }
  const wall = (now() - started) / 1_000
  const after = cpu()
  const [serverCpu = 0, storeCpu = 0, readerCpu = 0, systemCpu = 0] = after.map((each, n) => each - (before[n] ?? 0))
  return {
    load: load.name,
    server: target.name,
    deliveries,
    serverCpu,
    systemCpu,
    storeCpu,
    readerCpu,
    wall,
    latencies,
  }
}

/** What a request takes that has nothing to do with streams, one after the other while `load` runs. */
async function unrelatedDuring(target: Target, load: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = []
  let isOver = false
  const asking = (async () => {
    while (!isOver) {
      const asked = now()
      await target.unrelated()
      times.push(now() - asked)
      await delay(5)
    }
  })()
  await load()
  isOver = true
  await asking
  return times
}

/** The data of an event as ISM sends it. */
async function payloadOf(target: Target): Promise<string> {
  const { connect } = await import('node:net')
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

function quantile(sorted: number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}

function report(): void {
  const sum = <Key extends string>(rows: Record<Key, number>[], key: Key) =>
    rows.reduce((total, row) => total + row[key], 0)
  const groups = new Map<string, Result[]>()
  for (const result of results) {
    const name = `${result.load} ${result.connections} ${result.server}`
    groups.set(name, [...(groups.get(name) ?? []), result])
  }
  const summaries = [...groups.values()].map((rows) => {
    const { load, connections, server } = rows[0] as Result
    const latencies = rows.flatMap((row) => row.latencies).sort((a, b) => a - b)
    const unrelated = rows.flatMap((row) => row.unrelated).sort((a, b) => a - b)
    const deliveries = sum(rows, 'deliveries')
    return {
      load,
      connections,
      server,
      perCpuSecond: deliveries / sum(rows, 'serverCpu'),
      perCpuSecondWithStore: deliveries / (sum(rows, 'serverCpu') + sum(rows, 'storeCpu')),
      perSecond: deliveries / sum(rows, 'wall'),
      micros: (sum(rows, 'serverCpu') / deliveries) * 1e6,
      systemMicros: (sum(rows, 'systemCpu') / deliveries) * 1e6,
      rounds: rows.map((row) => row.deliveries / row.serverCpu),
      p50: quantile(latencies, 0.5),
      p99: quantile(latencies, 0.99),
      unrelatedP50: quantile(unrelated, 0.5),
      unrelatedP99: quantile(unrelated, 0.99),
      readerShare: sum(rows, 'readerCpu') / sum(rows, 'wall'),
    }
  })
  if (values.json) {
    print(JSON.stringify({ opened, summaries }))
    return
  }
  const k = (n: number) => `${(n / 1_000).toFixed(0)}k`
  const streams = new Table({
    head: ['server', 'connections', 'KiB each', 'connects/s'],
    style: { head: [], border: [] },
  })
  for (const server of new Set(opened.map((each) => each.server))) {
    const rows = opened.filter((each) => each.server === server && each.room === 'everybody')
    const connections = sum(rows, 'connections')
    streams.push([
      server,
      connections,
      (sum(rows, 'kib') / connections).toFixed(1),
      (connections / sum(rows, 'seconds')).toFixed(0),
    ])
  }
  print(streams.toString())
  const loads = new Table({
    head: [
      'load',
      'conn.',
      'server',
      'per CPU-s',
      'µs each',
      'of it system',
      'rounds',
      'with store',
      'per s',
      'p50 ms',
      'p99 ms',
      'GET p50',
      'GET p99',
      'reader CPU',
    ],
    style: { head: [], border: [] },
  })
  for (const row of summaries)
    loads.push([
      row.load,
      row.connections,
      row.server,
      k(row.perCpuSecond),
      row.micros.toFixed(2),
      row.systemMicros.toFixed(2),
      row.rounds.map(k).join(' '),
      k(row.perCpuSecondWithStore),
      k(row.perSecond),
      row.p50.toFixed(1),
      row.p99.toFixed(1),
      row.unrelatedP50.toFixed(1),
      row.unrelatedP99.toFixed(1),
      `${(row.readerShare * 100).toFixed(0)} %`,
    ])
  print(loads.toString())
  print(`load average after: ${loadavg()[0]?.toFixed(2)}`)
}
