/** What can be killed, stopped and frozen. Each deed says whether there was anybody to do it to. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Cluster } from '../../src/embedded/postgres/cluster.ts'
import { signal } from '../../src/embedded/processes.ts'
import { freeze, thaw } from '../support/freezer.ts'
import type { IsmNode } from '../support/node.ts'
import { descendantsOf } from '../support/process-table.ts'
import type { ServerProcess } from '../support/server-process.ts'
import type { Exit, TestProcess } from '../support/test-process.ts'
import type { Findings } from './findings.ts'
import { countErrors } from './logged-errors.ts'

export type Victim = {
  readonly name: string
  /** With SIGKILL; resolves when it is gone, but for a server that has to be started by hand: when it is back. */
  kill(): Promise<boolean>
  /** As an operator stops it. */
  stop(): Promise<boolean>
  /** Resolves when it goes on. */
  freeze(milliseconds: number): Promise<boolean>
}

/** A node, and something like a service manager that starts it again whenever it has ended. */
export class NodeVictim implements Victim {
  readonly name = 'node'
  readonly node: IsmNode
  slowStops = 0
  startsGivenUp = 0
  readonly #findings: Findings
  /** Of processes that are gone. */
  readonly #errors = new Map<string, number>()
  readonly #killed = new WeakSet<TestProcess>()
  #asked = false
  #over = false

  constructor(node: IsmNode, findings: Findings) {
    this.node = node
    this.#findings = findings
    void this.#manage()
  }

  get isThere(): boolean {
    return this.node.process.exit === undefined
  }

  /** What it logged as an error so far: how often, by message. */
  get errors(): Map<string, number> {
    const errors = new Map(this.#errors)
    if (this.isThere) countErrors(this.node.process.stdout, errors)
    return errors
  }

  /** From now on it is not started again. */
  release(): void {
    this.#over = true
  }

  async kill(): Promise<boolean> {
    if (!this.isThere) return false
    const { process } = this.node
    this.#killed.add(process)
    await process.kill('SIGKILL')
    return true
  }

  async stop(): Promise<boolean> {
    if (!this.isThere) return false
    this.#asked = true
    await this.node.kill('SIGTERM')
    return true
  }

  async freeze(milliseconds: number): Promise<boolean> {
    if (!this.isThere) return false
    const { process } = this.node
    process.signal('SIGSTOP')
    await delay(milliseconds)
    process.signal('SIGCONT')
    return true
  }

  async #manage(): Promise<void> {
    for (;;) {
      const { process } = this.node
      const exit = await process.exited
      if (this.#over) return
      this.#judge(exit, process)
      countErrors(process.stdout, this.#errors)
      this.#asked = false
      // It may be killed before it listens.
      await this.node.restart().catch(() => {})
    }
  }

  #judge({ code, signal }: Exit, process: TestProcess): void {
    const { output } = process
    const wasAsked = code === 0 || signal === 'SIGTERM'
    // A SIGKILL of somebody else's is the system's, which has no memory left.
    if ((signal === 'SIGKILL' && this.#killed.has(process)) || (this.#asked && wasAsked)) return
    if (this.#asked && code === 1) this.slowStops++
    else if (code === 1 && output.includes(NO_POSTGRES) && !output.includes('"msg":"listening"')) this.startsGivenUp++
    else this.#findings.unexpected(`a node ended with ${code ?? signal}: ${output.slice(-1_800)}`)
  }
}

/** Of a node that is starting. */
const NO_POSTGRES = 'PostgreSQL does not answer'

/** A postmaster, with or without its backends; started again by its supervisor. */
export class PostgresVictim implements Victim {
  readonly name = 'PostgreSQL'
  readonly #cluster: Cluster

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  kill(): Promise<boolean> {
    return this.#end('SIGKILL')
  }

  /** Fast shutdown. */
  stop(): Promise<boolean> {
    return this.#end('SIGINT')
  }

  async freeze(milliseconds: number): Promise<boolean> {
    return this.#freeze(milliseconds, true)
  }

  /** Nobody can connect; who is connected notices nothing. */
  async freezePostmaster(milliseconds: number): Promise<boolean> {
    return this.#freeze(milliseconds, false)
  }

  async #freeze(milliseconds: number, whole: boolean): Promise<boolean> {
    const postmaster = this.#cluster.pid()
    if (postmaster === undefined || !freeze(postmaster)) return false
    // Of a postmaster that is stopped no new ones come.
    const backends = whole ? (await descendantsOf(postmaster)).map(({ pid }) => pid) : []
    for (const pid of backends) freeze(pid)
    await delay(milliseconds)
    // Also where they were killed meanwhile: whoever has their numbers now is not harmed.
    for (const pid of [postmaster, ...backends]) thaw(pid)
    return true
  }

  async #end(name: NodeJS.Signals): Promise<boolean> {
    const postmaster = this.#cluster.pid()
    if (postmaster === undefined || !signal(postmaster, name)) return false
    while (this.#cluster.pid() === postmaster) await delay(2)
    return true
  }
}

/** A server of the environment: one thing at a time, for it is slow to come back. */
export class ServerVictim implements Victim {
  readonly #server: ServerProcess
  #busy = false

  constructor(server: ServerProcess) {
    this.#server = server
  }

  get name(): string {
    return this.#server.name
  }

  kill(): Promise<boolean> {
    return this.#alone(async () => {
      await this.#server.kill()
      await this.#server.start()
    })
  }

  stop(): Promise<boolean> {
    return this.kill()
  }

  freeze(milliseconds: number): Promise<boolean> {
    return this.#alone(async () => {
      await this.#server.freeze()
      await delay(milliseconds)
      await this.#server.thaw()
    })
  }

  async #alone(deed: () => Promise<void>): Promise<boolean> {
    if (this.#busy) return false
    this.#busy = true
    try {
      await deed()
      return true
    } finally {
      this.#busy = false
    }
  }
}
