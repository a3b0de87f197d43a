/** A module of ours in a process of its own that works tasks off, one after the other, and answers each. */
import type { ChildProcess } from 'node:child_process'
import { endProcess, type StartOptions, startModule } from './child-process.ts'
import { cpuSeconds } from './processes.ts'

type Answer<Report> = { report: Report } | { failed: string }

export class TaskProcess<Task extends object, Report> {
  readonly #process: ChildProcess
  readonly #waiting: { resolve: (report: Report) => void; reject: (error: Error) => void }[] = []

  constructor(file: string, parameters: string[] = [], options: StartOptions = {}) {
    this.#process = startModule(file, parameters, options)
    this.#process.on('message', (answer: Answer<Report>) => {
      const asked = this.#waiting.shift()
      if ('failed' in answer) asked?.reject(new Error(answer.failed))
      else asked?.resolve(answer.report)
    })
    this.#process.on('exit', (code) => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error(`${file} ended with ${code}`))
    })
  }

  /** CPU that the process has cost so far. */
  get cpuSeconds(): number {
    return cpuSeconds(this.#process.pid ?? 0)
  }

  ask(task: Task): Promise<Report> {
    const answered = new Promise<Report>((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#process.send(task)
    })
    // Whoever does something else first hears of a failure when they await it; until then it must not end the suite.
    answered.catch(() => {})
    return answered
  }

  stop(): Promise<void> {
    return endProcess(this.#process)
  }
}

/** The other side: to be called once, in the module that runs as the process. */
export function answerTasks<Task, Report>(work: (task: Task) => Promise<Report>): void {
  const answer = (what: Answer<Report>) => process.send?.(what)
  let turn = Promise.resolve<unknown>(undefined)
  process.on('message', (task: Task) => {
    turn = turn
      .then(() => work(task))
      .then(
        (report) => answer({ report }),
        (error: Error) => answer({ failed: error.message }),
      )
  })
}
