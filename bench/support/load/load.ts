/** HTTP load from a process of its own, as the bench sees it. */
import { fileURLToPath } from 'node:url'
import { quantile, sorted } from '../../suite/statistics.ts'
import { TaskProcess } from '../task-process.ts'

/** In a request: its number in the run takes this one's place. */
export const NUMBER = '#00000000'

export type Plan = {
  /** Whole requests (requestText in http-client.ts), taken in turn. */
  requests: string[]
  seconds: number
  /** Requests a second, due whether those before were answered or not. Left out: each connection asks when answered. */
  rate?: number
}

export type Task = { connect: { port: number; connections: number } } | { run: Plan }

/** By number of the request, on the monotonic clock: when it was due, and when its answer was there. */
export type Times = { asked: Float64Array; answered: Float64Array }

export type Ran = Times & {
  /** Answers a second. */
  rate: number
  p50: number
  p99: number
  /** CPU seconds of the generator. */
  cpu: number
}

const PROCESS = fileURLToPath(new URL('./load-process.ts', import.meta.url))

export type Load = { run(plan: Plan): Promise<Ran>; stop(): Promise<void> }

export async function openLoad(port: number, connections: number): Promise<Load> {
  const generator = new TaskProcess<Task, Times>(PROCESS)
  await generator.ask({ connect: { port, connections } })
  return {
    run: (plan) => ranBy(generator, { run: plan }),
    stop: () => generator.stop(),
  }
}

/** For any generator that answers with times. */
export async function ranBy<T extends object>(generator: TaskProcess<T, Times>, task: T): Promise<Ran> {
  const before = generator.cpuSeconds
  const times = await generator.ask(task)
  const { asked, answered } = times
  const latencies = sorted(answered.map((at, n) => at - (asked[n] ?? Number.NaN)))
  const last = answered.reduce((a, b) => Math.max(a, b), 0)
  return {
    ...times,
    rate: asked.length / ((last - (asked[0] ?? Number.NaN)) / 1_000),
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    cpu: generator.cpuSeconds - before,
  }
}
