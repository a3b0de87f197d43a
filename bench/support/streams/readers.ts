/** Clients that hold streams open, in a process of their own, as the bench sees them. */
import { fileURLToPath } from 'node:url'
import { TaskProcess } from '../task-process.ts'

/** Where connections go, and the head of the request of each. */
export type Openings = { port: number; heads: string[] }

export type Task =
  | { open: Openings; atOnce: number }
  /** From now on, when the server closes them, connection `n` comes back with head `n`. */
  | { reopen: Openings }
  /** All are back. */
  | { reopened: true }
  | { expect: number }
  | { closeAll: true }

export type Report =
  /** `opened`: when the last one had its answer's head, on the monotonic clock; `again`: attempts that were refused. */
  { opened: number; seconds: number; again: number } | Arrivals | { done: true }

export type Arrivals = {
  /** When each event arrived, on the monotonic clock. */
  arrivals: Float64Array
  /** The number in each event's text, where readers look for numbers. */
  numbers: Int32Array
}

const PROCESS = fileURLToPath(new URL('./reader-process.ts', import.meta.url))
/** For what the process opens beside its connections. */
const SPARE_FILES = 200

export class Readers {
  readonly #process: TaskProcess<Task, Report>

  /**
   * @param connections as many as it will hold open
   * @param numbered whether events are ChatMessages whose text begins with the number of a request (load.ts)
   */
  constructor(connections: number, numbered = false) {
    const parameters = numbered ? ['numbered'] : []
    this.#process = new TaskProcess(PROCESS, parameters, { openFiles: connections + SPARE_FILES })
  }

  get cpuSeconds(): number {
    return this.#process.cpuSeconds
  }

  /** Opens one stream for each head of a request. @returns the seconds that it took */
  async open(port: number, heads: string[], atOnce = 64): Promise<number> {
    const report = await this.#process.ask({ open: { port, heads }, atOnce })
    return 'opened' in report ? report.seconds : Number.NaN
  }

  /** Resolves when the server may be ended. */
  async reopenWhenClosed(port: number, heads: string[]): Promise<void> {
    await this.#process.ask({ reopen: { port, heads } })
  }

  /** @returns when all of them were back, on the monotonic clock, and how many attempts were refused */
  async reopened(): Promise<{ opened: number; again: number }> {
    const report = await this.#process.ask({ reopened: true })
    if (!('opened' in report)) throw new Error('the readers answered something else')
    return report
  }

  /** The events that arrived since the last call, once they are as many. */
  async expect(count: number): Promise<Arrivals> {
    const report = await this.#process.ask({ expect: count })
    if (!('arrivals' in report)) throw new Error('the readers answered something else')
    return report
  }

  async closeAll(): Promise<void> {
    await this.#process.ask({ closeAll: true })
  }

  stop(): Promise<void> {
    return this.#process.stop()
  }
}

export function streamRequest(token: string, lastEventId?: string): string {
  const resumed = lastEventId === undefined ? '' : `Last-Event-ID: ${lastEventId}\r\n`
  return `GET /api/sse HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\nAuthorization: Bearer ${token}\r\n${resumed}\r\n`
}
