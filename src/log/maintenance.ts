/** Work that some node has to do now and then: under a lease, so that not all of them do it at once. */
import { randomUUID } from 'node:crypto'
import type { Queryable } from '../infra/postgres.ts'
import { MAINTENANCE, registerProjection, takeLease } from './projection.ts'

export type MaintenanceTask = { name: string; run(): Promise<void> }

export type MaintenanceObserver = { maintenanceFailed(task: string, error: unknown): void }

const INTERVAL_MS = 60_000

export class Maintenance {
  readonly #db: Queryable
  readonly #tasks: MaintenanceTask[]
  readonly #observe: MaintenanceObserver
  readonly #holder = randomUUID()
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined

  constructor(db: Queryable, tasks: MaintenanceTask[], observe: MaintenanceObserver) {
    this.#db = db
    this.#tasks = tasks
    this.#observe = observe
  }

  /** Once now, then every minute. */
  start(): void {
    this.#timer = setInterval(() => this.#tick(), INTERVAL_MS)
    this.#timer.unref()
    this.#tick()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#running
  }

  #tick(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
  }

  async #run(): Promise<void> {
    try {
      await registerProjection(this.#db, MAINTENANCE, 0)
      if (!(await takeLease(this.#db, MAINTENANCE, this.#holder))) return
    } catch (error) {
      this.#observe.maintenanceFailed('lease', error)
      return
    }
    for (const task of this.#tasks)
      await task.run().catch((error: unknown) => this.#observe.maintenanceFailed(task.name, error))
  }
}
