/** The end of the load: everything that was begun comes to its end, and everybody is told of all of it. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Random } from '../support/random.ts'
import type { Device } from './device.ts'
import type { RoomRecord } from './room-record.ts'
import { Sender } from './sender.ts'
import type { System } from './system.ts'
import type { World } from './world.ts'

/** What a device is given to hear the last message. */
const HEARING_MS = 30_000
const ARCHIVE_MS = 120_000
/** A call that a client has given up may come late and append once more. */
const ROUNDS = 5

export async function nodesAreWell({ nodes }: System): Promise<void> {
  await Promise.all(
    nodes.map(async ({ url }) => {
      const isReady = async () => (await fetch(`${url}/health/ready`)).ok
      while (!(await isReady().catch(() => false))) await delay(20)
    }),
  )
}

/** Resolves when every device has everything, or it is clear that one never will, and the archive is done. */
export async function settle(world: World, system: System, devices: readonly Device[], random: Random): Promise<void> {
  const { record } = world.hall
  const { sql } = system.service
  for (let round = 0; round < ROUNDS; round++) {
    await ring(world, devices, random)
    // What comes between the two is too much, and judged as such.
    await ring(world, devices, random)
    const head = await read('select max(seq)::int as value from event')
    await archivedTo(head)
    if (record.seqOf(record.head) === head) break
  }
  await Promise.all(devices.map((device) => device.stop()))
  const end = record.seqOf(record.head) ?? 0
  for (const { sight } of devices) if (sight) sight.through = Math.max(sight.through, end)

  async function archivedTo(head: number): Promise<void> {
    const deadline = performance.now() + ARCHIVE_MS
    while ((await read(`select seq::int as value from projection where name = 'archive'`)) < head) {
      if (performance.now() > deadline)
        return world.model.findings.unexpected(`the archive did not come to ${head} within ${ARCHIVE_MS} ms`)
      await delay(100)
    }
  }

  async function read(statement: string): Promise<number> {
    const { rows } = await sql.query<{ value: number | null }>(statement)
    return rows[0]?.value ?? 0
  }
}

/** A message to everybody: a device that has it has had everything before it. */
async function ring(world: World, devices: readonly Device[], random: Random): Promise<void> {
  const { hall } = world
  const roomSeq = (await new Sender(world, random).send(hall, hall.host)) ?? Infinity
  const deadline = performance.now() + HEARING_MS
  while (!devices.every((device) => hasHeard(device, hall.record, roomSeq)) && performance.now() < deadline)
    await delay(20)
}

/** Or began after it, or never began. */
function hasHeard({ sight }: Device, hall: RoomRecord, roomSeq: number): boolean {
  return sight === undefined || sight.through >= (hall.seqOf(roomSeq) ?? Infinity)
}
