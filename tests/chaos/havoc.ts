/** Kills, stops and freezes at random moments; what to do next is the seed's choice alone. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Random } from '../support/random.ts'
import { pickFrom, spread, weighted } from './chance.ts'
import type { Findings } from './findings.ts'
import type { Model } from './model.ts'
import type { PostgresVictim, ServerVictim, Victim } from './victims.ts'

type Deed = 'kill' | 'stop' | 'freeze'

/** Each as often as the number says; of servers only those that are there. */
const PLANS = {
  killNode: 30,
  killAllNodes: 12,
  killPostgres: 14,
  killNodeAndPostgres: 8,
  killEverything: 4,
  stopNode: 8,
  freezeNode: 14,
  freezeAndKillNode: 4,
  freezePostgres: 3,
  freezePostmaster: 3,
  stopPostgres: 5,
  killServer: 6,
  freezeServer: 6,
} as const
/** Of killServer, as long as one has not been killed: a short run kills each, too. */
const FIRST_KILLS = 30
type Plan = keyof typeof PLANS

const FREEZE_MS = { least: 100, most: 8_000 }
/** Sends answered between two deeds, at most. */
const BETWEEN = 60
/** Something is frozen for eight seconds, then recovers; nothing takes longer. */
const STANDSTILL_MS = 120_000

export type HavocLimits = { kills: number; milliseconds: number }

export class Havoc {
  readonly deeds: Record<Deed, Map<string, number>> = { kill: new Map(), stop: new Map(), freeze: new Map() }
  /** What it does, or did last. */
  plan: Plan | undefined
  readonly #nodes: readonly Victim[]
  readonly #postgres: PostgresVictim
  readonly #servers: readonly ServerVictim[]
  /** Servers that nothing was done to: first each is killed. */
  readonly #spared: ServerVictim[]
  readonly #random: Random
  readonly #findings: Findings
  readonly #answers: Model['answers']
  readonly #underWay = new Set<Promise<void>>()

  constructor(
    victims: { nodes: readonly Victim[]; postgres: PostgresVictim; servers: readonly ServerVictim[] },
    random: Random,
    findings: Findings,
    answers: Model['answers'],
  ) {
    this.#nodes = victims.nodes
    this.#postgres = victims.postgres
    this.#servers = victims.servers
    this.#spared = [...victims.servers]
    this.#random = random
    this.#findings = findings
    this.#answers = answers
  }

  get kills(): number {
    return [...this.deeds.kill.values()].reduce((sum, count) => sum + count, 0)
  }

  /** Resolves when enough was done, and what was frozen goes on again. */
  async run({ kills, milliseconds }: HavocLimits): Promise<void> {
    const end = performance.now() + milliseconds
    while ((this.kills < kills || this.#spared.length > 0) && performance.now() < end) {
      if (!(await this.#randomMoment(end))) break
      await this.#carryOut()
    }
    await Promise.all(this.#underWay)
  }

  /**
   * Mostly the very moment of an answer, which is when a promise is made; now and then while what was killed before is
   * still on its way back.
   */
  async #randomMoment(end: number): Promise<boolean> {
    const when = weighted(this.#random, { soon: 25, atAnAnswer: 65, later: 10 })
    const share = this.#random.next()
    if (when === 'soon') await delay(share * 300)
    if (when === 'later') await delay(1_000 + share * 3_000)
    if (when !== 'atAnAnswer') return true
    const patience = new AbortController()
    const late = delay(Math.min(STANDSTILL_MS, end - performance.now()), true, patience).catch(() => true)
    const isLate = await Promise.race([late, this.#answers(1 + Math.floor(share * BETWEEN)).then(() => false)])
    patience.abort()
    if (isLate && performance.now() < end)
      this.#findings.unexpected(`fewer than ${BETWEEN} sends were answered in ${STANDSTILL_MS} ms`)
    return !isLate
  }

  /** All victims in the same moment; whoever is not there just now is left out. */
  async #carryOut(): Promise<void> {
    const plan = weighted<Plan>(this.#random, this.#plans)
    this.plan = plan
    const node = pickFrom(this.#random, this.#nodes) as Victim
    const anyServer = pickFrom(this.#random, this.#servers)
    const milliseconds = spread(this.#random, FREEZE_MS.least, FREEZE_MS.most)
    const postgres = this.#postgres
    switch (plan) {
      case 'killNode':
        return this.#kill(node)
      case 'killAllNodes':
        return this.#kill(...this.#nodes)
      case 'killPostgres':
        return this.#kill(postgres)
      case 'killNodeAndPostgres':
        return this.#kill(postgres, node)
      case 'killEverything':
        return this.#kill(postgres, ...this.#nodes)
      case 'stopNode':
        return this.#meanwhile('stop', node, node.stop())
      case 'freezeNode':
        return this.#meanwhile('freeze', node, node.freeze(milliseconds))
      case 'freezeAndKillNode':
        this.#meanwhile('freeze', node, node.freeze(milliseconds))
        return this.#meanwhile(
          'kill',
          node,
          delay(milliseconds / 2).then(() => node.kill()),
        )
      case 'freezePostgres':
        return this.#meanwhile('freeze', postgres, postgres.freeze(milliseconds))
      case 'freezePostmaster':
        return this.#meanwhile('freeze', postgres, postgres.freezePostmaster(milliseconds))
      case 'stopPostgres':
        return this.#meanwhile('stop', postgres, postgres.stop())
      case 'killServer':
      case 'freezeServer': {
        const spared = this.#spared.shift()
        const server = spared ?? anyServer
        if (!server) return
        if (spared || plan === 'killServer') this.#meanwhile('kill', server, server.kill())
        else this.#meanwhile('freeze', server, server.freeze(milliseconds))
      }
    }
  }

  get #plans(): Record<Plan, number> {
    if (this.#servers.length === 0) return { ...PLANS, killServer: 0, freezeServer: 0 }
    return this.#spared.length > 0 ? { ...PLANS, killServer: FIRST_KILLS } : PLANS
  }

  async #kill(...victims: Victim[]): Promise<void> {
    await Promise.all(victims.map((victim) => this.#counted('kill', victim, victim.kill())))
  }

  #meanwhile(deed: Deed, victim: Victim, doing: Promise<boolean>): void {
    const done = this.#counted(deed, victim, doing)
    this.#underWay.add(done)
    void done.then(() => this.#underWay.delete(done))
  }

  async #counted(deed: Deed, { name }: Victim, doing: Promise<boolean>): Promise<void> {
    try {
      if (await doing) this.deeds[deed].set(name, (this.deeds[deed].get(name) ?? 0) + 1)
    } catch (error) {
      this.#findings.unexpected(`${deed} of ${name}: ${(error as Error).message}`)
    }
  }
}
