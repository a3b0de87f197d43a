/** One run: a system and its people, load and havoc, then the verdict. */

import { Audience } from './audience.ts'
import { Browsing } from './browsing.ts'
import { randomOf } from './chance.ts'
import { judgeDevices } from './device-verdict.ts'
import { Findings } from './findings.ts'
import { Groups } from './groups.ts'
import { Havoc } from './havoc.ts'
import { Model } from './model.ts'
import type { ChaosOptions } from './options.ts'
import { Pairs, pairsOf } from './pairs.ts'
import { judgeRooms } from './room-verdict.ts'
import { Sender } from './sender.ts'
import { nodesAreWell, settle } from './settle.ts'
import { type System, startSystem } from './system.ts'
import { NodeVictim, PostgresVictim, ServerVictim } from './victims.ts'
import { World } from './world.ts'

/** Streams of one person, on average. */
const STREAMS_A_PERSON = 3
const SENDERS = 16
const GROUP_ACTORS = 3
const PAIR_ACTORS = 2
const BROWSERS = 4

export type Phase = 'starting' | 'chaos' | 'settling' | 'judging'

/** Where a run is, or how it has ended. */
export type State = {
  phase: Phase
  options: ChaosOptions
  seconds: number
  tally: Model['tally']
  rooms: number
  devices: number
  kills: number
  deeds: Havoc['deeds'] | undefined
  plan: Havoc['plan']
  uncleanStops: number
  findings: Findings
}

/** @param watch is called with the state, which it may ask at any time */
export async function runChaos(options: ChaosOptions, watch: (state: () => State) => void = () => {}): Promise<State> {
  const since = performance.now()
  const findings = new Findings()
  let phase: Phase = 'starting'
  let model = new Model([], findings)
  let audience: Audience | undefined
  let havoc: Havoc | undefined
  let victims: NodeVictim[] = []
  const state = (): State => ({
    phase,
    options,
    seconds: (performance.now() - since) / 1_000,
    tally: model.tally,
    rooms: model.rooms.size,
    devices: audience?.devices.length ?? 0,
    kills: havoc?.kills ?? 0,
    deeds: havoc?.deeds,
    plan: havoc?.plan,
    uncleanStops: victims.reduce((sum, { uncleanStops }) => sum + uncleanStops, 0),
    findings,
  })
  watch(state)

  const system = await startSystem(options.nodes)
  try {
    model = new Model(await system.service.people(peopleFor(options), system.nodes), findings)
    const world = new World(
      model,
      system.nodes.map(({ url }) => url),
    )
    audience = new Audience(world, options.seed)
    await audience.open()
    await world.openHall(randomOf(options.seed, 'hall'))

    phase = 'chaos'
    let isOver = false
    victims = system.nodes.map((node) => new NodeVictim(node, findings))
    havoc = havocOn(system, victims, options, model)
    const acting = act(world, options.seed, () => isOver)
    audience.visit(options.readers - world.people.length, () => isOver)
    // An actor that fails ends the run at once.
    await Promise.race([havoc.run({ kills: options.kills, milliseconds: options.minutes * 60_000 }), acting])
    await nodesAreWell(system)
    isOver = true
    await acting

    phase = 'settling'
    const devices = await audience.staying()
    await settle(world, system, devices, randomOf(options.seed, 'settling'))

    phase = 'judging'
    const kept = await judgeRooms(model, system, randomOf(options.seed, 'judging'))
    judgeDevices(model, audience.devices, kept)
    return state()
  } finally {
    for (const victim of victims) victim.release()
    await system.close()
  }
}

/** An even number: everybody has a partner. */
function peopleFor({ readers }: ChaosOptions): number {
  return Math.max(4, 2 * Math.round(readers / STREAMS_A_PERSON / 2))
}

function havocOn(system: System, nodes: NodeVictim[], { seed }: ChaosOptions, model: Model): Havoc {
  const victims = {
    nodes,
    postgres: new PostgresVictim(system.cluster),
    servers: system.servers.map((server) => new ServerVictim(server)),
  }
  return new Havoc(victims, randomOf(seed, 'havoc'), model.findings, (more) => model.answers(more))
}

/** Resolves when all have come to their end. */
async function act(world: World, seed: number, isOver: () => boolean): Promise<void> {
  const several = <T>(count: number, make: (n: number) => T) => Array.from({ length: count }, (_, n) => make(n))
  const pairs = pairsOf(world)
  const groups = Math.max(4, Math.round(world.people.length / 2))
  const actors = [
    ...several(SENDERS, (n) => new Sender(world, randomOf(seed, `sender ${n}`))),
    ...several(GROUP_ACTORS, (n) => new Groups(world, randomOf(seed, `groups ${n}`), `maker ${n}`, groups)),
    ...several(PAIR_ACTORS, (n) => {
      const own = pairs.filter((_, pair) => pair % PAIR_ACTORS === n)
      return new Pairs(world, randomOf(seed, `pairs ${n}`), own)
    }),
    ...several(BROWSERS, (n) => new Browsing(world, randomOf(seed, `browsing ${n}`))),
  ]
  await Promise.all(actors.map((actor) => actor.run(isOver)))
}
