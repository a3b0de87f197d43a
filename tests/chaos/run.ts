/** One run: a system and its people, load and havoc, then the verdict. */

import { Audience } from './audience.ts'
import { Browsing } from './browsing.ts'
import { randomOf } from './chance.ts'
import { judgeDevices } from './device-verdict.ts'
import { Findings } from './findings.ts'
import { Groups } from './groups.ts'
import { Havoc } from './havoc.ts'
import { sumOf } from './logged-errors.ts'
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
  /** Nodes that ended with an error when asked to stop: what they work with was frozen or down. */
  slowStops: number
  /** Nodes that ended because PostgreSQL was down for longer than they wait for it at their start. */
  startsGivenUp: number
  /** What nodes logged as errors, by message: most follow from what was killed or frozen, so none is a finding. */
  errors: Map<string, number>
  findings: Findings
}

export type Surroundings = {
  /** Names the servers beside PostgreSQL. */
  env?: Record<string, string | undefined>
  /** Is called at the start, with what tells the state at any time. */
  watch?: (state: () => State) => void
}

export async function runChaos(options: ChaosOptions, { env, watch }: Surroundings = {}): Promise<State> {
  const since = performance.now()
  const run: Run = {
    phase: 'starting',
    model: new Model([], new Findings()),
    audience: undefined,
    havoc: undefined,
    nodes: [],
  }
  const state = () => stateOf(run, options, (performance.now() - since) / 1_000)
  watch?.(state)
  const system = await startSystem(options.nodes, env)
  try {
    const { findings } = run.model
    run.model = new Model(await system.service.people(peopleFor(options), system.nodes), findings)
    run.nodes = system.nodes.map((node) => new NodeVictim(node, findings))
    const urls = system.nodes.map(({ url }) => url)
    // What was found before is told all the same.
    await rage(run, options, system, new World(run.model, urls)).catch((error: Error) =>
      findings.unexpected(`the run broke off while ${run.phase}: ${error.stack}`),
    )
    return state()
  } finally {
    for (const node of run.nodes) node.release()
    await system.close()
  }
}

type Run = {
  phase: Phase
  model: Model
  audience: Audience | undefined
  havoc: Havoc | undefined
  nodes: NodeVictim[]
}

async function rage(run: Run, options: ChaosOptions, system: System, world: World): Promise<void> {
  const { seed, kills, minutes, readers } = options
  const audience = new Audience(world, seed)
  run.audience = audience
  await audience.open()
  await world.openHall(randomOf(seed, 'hall'))

  run.phase = 'chaos'
  let isOver = false
  run.havoc = havocOn(system, run, seed)
  const acting = act(world, seed, () => isOver)
  audience.visit(readers - world.people.length, () => isOver)
  // An actor that fails ends the run at once.
  await Promise.race([run.havoc.run({ kills, milliseconds: minutes * 60_000 }), acting])
  await nodesAreWell(system, run.model.findings)
  isOver = true
  await acting

  run.phase = 'settling'
  await settle(world, system, await audience.staying(), randomOf(seed, 'settling'))

  run.phase = 'judging'
  const kept = await judgeRooms(run.model, system, randomOf(seed, 'judging'))
  judgeDevices(run.model, audience.devices, kept)
}

function stateOf({ phase, model, audience, havoc, nodes }: Run, options: ChaosOptions, seconds: number): State {
  const sum = (count: (node: NodeVictim) => number) => nodes.reduce((total, node) => total + count(node), 0)
  return {
    phase,
    options,
    seconds,
    tally: model.tally,
    rooms: model.rooms.size,
    devices: audience?.devices.length ?? 0,
    kills: havoc?.kills ?? 0,
    deeds: havoc?.deeds,
    plan: havoc?.plan,
    slowStops: sum(({ slowStops }) => slowStops),
    startsGivenUp: sum(({ startsGivenUp }) => startsGivenUp),
    errors: sumOf(nodes.map(({ errors }) => errors)),
    findings: model.findings,
  }
}

/** An even number: everybody has a partner. */
function peopleFor({ readers }: ChaosOptions): number {
  return Math.max(4, 2 * Math.round(readers / STREAMS_A_PERSON / 2))
}

function havocOn({ cluster, servers }: System, { nodes, model }: Run, seed: number): Havoc {
  const victims = {
    nodes,
    postgres: new PostgresVictim(cluster),
    servers: servers.map((server) => new ServerVictim(server)),
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
