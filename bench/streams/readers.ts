/** The clients of one server, as the run sees them. */
import { type ChildProcess, fork, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export type Task = { open: { port: number; heads: string[] } } | { expect: number } | { stop: true }
export type Report = { opened: number; seconds: number } | { arrivals: Float64Array; cpuSeconds: number }

const PROCESS = fileURLToPath(new URL('./reader-process.ts', import.meta.url))

export class Readers {
  readonly #process: ChildProcess
  #waiting: { resolve: (report: Report) => void; reject: (error: Error) => void } | undefined
  /** CPU that counting has cost so far. */
  cpuSeconds = 0

  constructor() {
    this.#process = fork(PROCESS, { serialization: 'advanced' })
    // Clients elsewhere do not interrupt a server each time that they are woken; nor must those here (sched(7)).
    spawnSync('chrt', ['--batch', '--all-tasks', '--pid', '0', String(this.#process.pid)])
    this.#process.on('message', (report: Report) => {
      if ('arrivals' in report) this.cpuSeconds = report.cpuSeconds
      this.#waiting?.resolve(report)
    })
    this.#process.on('exit', (code) => this.#waiting?.reject(new Error(`the readers ended with ${code}`)))
  }

  /** Opens one stream for each head of a request. @returns the seconds that it took */
  async open(port: number, heads: string[]): Promise<number> {
    const report = await this.#ask({ open: { port, heads } })
    return 'opened' in report ? report.seconds : Number.NaN
  }

  /** @returns when each event arrived, on the monotonic clock, in ms */
  async expect(count: number): Promise<Float64Array> {
    const report = await this.#ask({ expect: count })
    return 'arrivals' in report ? report.arrivals : new Float64Array()
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return
    const exited = new Promise((resolve) => this.#process.once('exit', resolve))
    this.#process.send({ stop: true } satisfies Task)
    await exited
  }

  #ask(task: Task): Promise<Report> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#process.send(task)
    })
  }
}
