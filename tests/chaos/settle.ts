/** The end of the load: everything that was begun comes to its end, and everybody is told of all of it. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Random } from '../support/random.ts'
import type { Device } from './device.ts'
import type { Findings } from './findings.ts'
import { Sender } from './sender.ts'
import type { System } from './system.ts'
import type { World } from './world.ts'

/** Longer than a node takes to start, and what it works with before it. */
const WELL_MS = 120_000
const ASKING_MS = 5_000
/** What a device is given to hear a message when something was frozen or down a moment ago, */
const HEARING_MS = 30_000
/** and once it has heard that one. */
const QUIET_HEARING_MS = 10_000
const ARCHIVE_MS = 120_000
/** A call that a client has given up may come late and append once more. */
const ROUNDS = 5

export async function nodesAreWell({ nodes }: Pick<System, 'nodes'>, findings: Findings, milliseconds = WELL_MS) {
  const deadline = performance.now() + milliseconds
  await Promise.all(
    nodes.map(async (node) => {
      const isReady = async () =>
        (await fetch(`${node.url}/health/ready`, { signal: AbortSignal.timeout(ASKING_MS) })).ok
      while (!(await isReady().catch(() => false))) {
        if (performance.now() > deadline)
          return findings.unexpected(
            `a node was not ready within ${milliseconds} ms: ${node.process.output.slice(-1_800)}`,
          )
        await delay(20)
      }
    }),
  )
}

/** Resolves when every device has everything, or it is clear that one never will, and the archive is done. */
export async function settle(world: World, system: System, devices: readonly Device[], random: Random): Promise<void> {
  const { sql } = system.service
  let end = 0
  for (let round = 0; round < ROUNDS; round++) {
    end = await ring(HEARING_MS)
    // What comes between the two is too much, and judged as such.
    if (haveHeard(devices, end)) end = await ring(QUIET_HEARING_MS)
    const head = await read('select max(seq)::int as value from event')
    await archivedTo(head)
    if (head === end || !haveHeard(devices, end)) break
  }
  await Promise.all(devices.map((device) => device.stop()))
  judgeHearing(world.model.findings, devices, end)

  /**
   * A message to everybody: a device that has it has had everything before it.
   * @returns its seq by the log itself, which whoever hears nothing cannot know
   */
  async function ring(milliseconds: number): Promise<number> {
    const { hall } = world
    await new Sender(world, random).send(hall, hall.host)
    const seq = await read('select max(seq)::int as value from event where room_id = $1 and type = 1', hall.record.id)
    const deadline = performance.now() + milliseconds
    while (!haveHeard(devices, seq) && performance.now() < deadline) await delay(20)
    return seq
  }

  async function archivedTo(head: number): Promise<void> {
    const deadline = performance.now() + ARCHIVE_MS
    while ((await read(`select seq::int as value from projection where name = 'archive'`)) < head) {
      if (performance.now() > deadline)
        return world.model.findings.unexpected(`the archive did not come to ${head} within ${ARCHIVE_MS} ms`)
      await delay(100)
    }
  }

  async function read(statement: string, ...values: string[]): Promise<number> {
    const { rows } = await sql.query<{ value: number | null }>(statement, values)
    const value = rows[0]?.value
    if (typeof value !== 'number') throw new Error(`nothing was found by: ${statement}`)
    return value
  }
}

type Listener = Pick<Device, 'person' | 'sight' | 'status'>

/** Of a device that stays, everything up to the end is asked, whether it heard it or not. */
export function judgeHearing(findings: Findings, devices: readonly Listener[], end: number): void {
  for (const device of devices) {
    const { person, sight, status } = device
    if (!hasHeard(device, end)) {
      const known = sight ? `knew of everything up to ${sight.through}` : 'was never told where its stream begins'
      findings.unexpected(`${person.name} was not told of the last message, ${end}: ${known}, status ${status}`)
    }
    if (sight) sight.through = Math.max(sight.through, end)
  }
}

const haveHeard = (devices: readonly Listener[], seq: number) => devices.every((device) => hasHeard(device, seq))
const hasHeard = ({ sight }: Listener, seq: number) => sight !== undefined && sight.through >= seq
