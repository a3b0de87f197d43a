/** The loads of the bench, and one run of one of them against one server. */
import { setTimeout as delay } from 'node:timers/promises'
import { now } from '../support/clock.ts'
import { HttpConnection } from '../support/http-client.ts'
import { cpuSeconds, systemSeconds } from '../support/processes.ts'
import { Readers } from '../support/streams/readers.ts'
import type { Target } from './target.ts'

export type Load = {
  name: string
  /** What is published at once; the next follows when all of it has arrived. */
  rooms: (turn: number) => ('everybody' | number)[]
  deliveries: (turn: number) => number
}

export type Run = {
  deliveries: number
  serverCpu: number
  /** The kernel's part of it. */
  systemCpu: number
  storeCpu: number
  readerCpu: number
  wall: number
  latencies: number[]
  /** ms of a call that has nothing to do with streams, while the load ran. */
  unrelated: number[]
}

/** `kib`: what the server's memory has grown by for each stream. */
export type Opened = { streams: number; kib: number; perSecond: number }

/** What is compiled, cached and allocated once is not counted as a connection's. */
export async function warmUp(target: Target, connections: number): Promise<void> {
  const readers = new Readers(connections)
  await readers.open(
    target.port,
    Array.from({ length: connections }, (_, n) => target.listen(n, 'everybody')),
  )
  for (let n = 0; n < 50; n++) {
    await target.publish(['everybody'])
    await readers.expect(connections)
  }
  await readers.stop()
}

/** @returns the seconds that it took */
export async function open(
  target: Target,
  readers: Readers,
  room: 'everybody' | 'small',
  { from, to }: { from: number; to: number },
): Promise<number> {
  const heads = Array.from({ length: to - from }, (_, n) => target.listen(from + n, room))
  return readers.open(target.port, heads)
}

export async function run(target: Target, readers: Readers, load: Load, seconds: number): Promise<Run> {
  const loaded = await runAlone(target, readers, load, seconds)
  return { ...loaded, unrelated: await unrelatedDuring(target, () => runAlone(target, readers, load, seconds / 3)) }
}

export async function runAlone(
  target: Target,
  readers: Readers,
  load: Load,
  seconds: number,
): Promise<Omit<Run, 'unrelated'>> {
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
    const due = load.deliveries(turn)
    const arrived = readers.expect(due)
    const { acknowledged, sent } = await target.publish(load.rooms(turn))
    // nchan has no commit: it acknowledges when it has begun to deliver, so there the clock starts when it is told.
    const since = target.storePid ? acknowledged : sent
    for (const at of (await arrived).arrivals) latencies.push(at - since)
    deliveries += due
  }
  const wall = (now() - started) / 1_000
  const after = cpu()
  const [serverCpu = 0, storeCpu = 0, readerCpu = 0, systemCpu = 0] = after.map((each, n) => each - (before[n] ?? 0))
  return { deliveries, serverCpu, systemCpu, storeCpu, readerCpu, wall, latencies }
}

/** What a request takes that has nothing to do with streams, one after the other while `load` runs. */
async function unrelatedDuring(target: Target, load: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = []
  let isOver = false
  // Of its own: one that is idle for as long as a load runs is closed.
  const client = await HttpConnection.open(target.port)
  const asking = (async () => {
    while (!isOver) {
      const asked = now()
      await target.unrelated(client)
      times.push(now() - asked)
      await delay(5)
    }
  })()
  await load()
  isOver = true
  await asking
  client.close()
  return times
}
