/** The primary process of `ism serve --workers N`: starts workers on one port, replaces those that die, ends them together. */
import cluster, { type Worker } from 'node:cluster'
import type { Config } from '../config/config.ts'
import { freePort } from '../embedded/free-port.ts'
import type { Logger } from '../observability/logger.ts'
import { serveMetrics } from '../observability/metrics-server.ts'
import { type MetricsSnapshot, sumOf } from '../observability/scrape.ts'
import { prepareDatabase, type StartOptions } from '../start-up.ts'
import { closeWhatIsNotTaken } from './handed-over.ts'
import type { Address, FromWorker, ToWorker } from './worker-messages.ts'

export type Workers = {
  /** Resolves when all of them listen for the first time. */
  listening: Promise<Address>
  /** Rejects where no worker can start. */
  failed: Promise<never>
  close(): Promise<void>
}

/** A worker's place: the number stays when the process is replaced. */
type Place = {
  number: number
  worker: Worker | undefined
  listening: boolean
  startedAt: number
  /** It listens for messages, so it answers pings unless it hangs. */
  answers: boolean
  /** Ticks of this process for which the last ping has waited for its answer. */
  unanswered: number
  /** How often in a row it ended soon. */
  failures: number
  timer: NodeJS.Timeout | undefined
}

/** Above what a worker allows itself, and below what `serve` allows the whole. */
const STOP_MS = 6_400
const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 30_000
/** Who lived longer than this did not die of its start. */
const SOON_MS = 30_000
/** In this many ticks a worker that does not answer is given up. */
const PATIENCE_TICKS = 6
/** A worker that hangs is left out of the sum. */
const SNAPSHOT_MS = 2_000

/**
 * @param patienceSeconds how long a worker may not answer until it is replaced
 * @throws Error where the database cannot be used; what else keeps workers from starting comes by `failed`
 */
export async function startWorkers(
  count: number,
  config: Config,
  options: StartOptions,
  patienceSeconds: number,
): Promise<Workers> {
  await prepareDatabase(config.postgres, options)
  // Each would take another free port after all of them have died.
  const port = config.server.port || (await freePort(config.server.host))
  const workers = new WorkerPool(
    count,
    { ...config, server: { ...config.server, port }, metrics: { ...config.metrics, port: undefined } },
    options.logger,
    (patienceSeconds * 1_000) / PATIENCE_TICKS,
  )
  const metrics = await serveMetrics(config.metrics, () => workers.sum())
  workers.start()
  return {
    listening: workers.listening,
    failed: workers.failed,
    async close() {
      await Promise.all([workers.close(), metrics?.close()])
    },
  }
}

class WorkerPool {
  readonly listening: Promise<Address>
  readonly failed: Promise<never>
  readonly #config: Config
  readonly #logger: Logger
  readonly #places: Place[]
  readonly #snapshots = new Map<number, (metrics: MetricsSnapshot) => void>()
  #allListen: (address: Address) => void = () => {}
  #fail: (error: Error) => void = () => {}
  readonly #tickMs: number
  #ticking: NodeJS.Timeout | undefined
  #asked = 0
  #stopping = false

  constructor(count: number, config: Config, logger: Logger, tickMs: number) {
    this.#config = config
    this.#logger = logger
    this.#tickMs = tickMs
    this.#places = Array.from({ length: count }, (_, n) => {
      const now = { worker: undefined, listening: false, startedAt: 0, answers: false, unanswered: 0 }
      return { number: n + 1, ...now, failures: 0, timer: undefined }
    })
    this.listening = new Promise((resolve) => {
      this.#allListen = resolve
    })
    this.failed = new Promise((_, reject) => {
      this.#fail = reject
    })
    // Whoever races it handles it; where nobody does yet, it is no unhandled rejection.
    this.failed.catch(() => {})
  }

  start(): void {
    cluster.schedulingPolicy = cluster.SCHED_RR
    // Whatever way this process ends by itself: a worker that is frozen does not notice.
    process.once('exit', () => {
      for (const { worker } of this.#places) worker?.process.kill('SIGKILL')
    })
    for (const place of this.#places) this.#fork(place)
    this.#ticking = setInterval(() => this.#tick(), this.#tickMs)
  }

  /** The workers end as one process does, all at once. @throws Error where one had to be killed */
  async close(): Promise<void> {
    this.#stopping = true
    clearInterval(this.#ticking)
    for (const { timer } of this.#places) clearTimeout(timer)
    const late: number[] = []
    await Promise.all(
      this.#places.map(async ({ number, worker, answers }) => {
        if (!worker || worker.isDead()) return
        const ended = new Promise((resolve) => worker.once('exit', resolve))
        // Before it listens for messages node:cluster takes them, and it has begun nothing.
        if (answers) send(worker, { kind: 'stop' })
        else worker.process.kill('SIGKILL')
        const deadline = setTimeout(() => {
          late.push(number)
          worker.process.kill('SIGKILL')
        }, STOP_MS)
        await ended
        clearTimeout(deadline)
      }),
    )
    if (late.length > 0) throw new Error(`worker ${late.join(' and ')} did not stop in time`)
  }

  /** The metrics of all workers that answer, added up. */
  async sum(): Promise<string> {
    const snapshots = await Promise.all(
      this.#places.map(({ worker, listening }) => (worker && listening ? this.#snapshotOf(worker) : undefined)),
    )
    return sumOf(snapshots.filter((snapshot) => snapshot !== undefined))
  }

  #snapshotOf(worker: Worker): Promise<MetricsSnapshot | undefined> {
    const id = ++this.#asked
    return new Promise<MetricsSnapshot | undefined>((resolve) => {
      const timer = setTimeout(resolve, SNAPSHOT_MS, undefined)
      this.#snapshots.set(id, (metrics) => {
        clearTimeout(timer)
        resolve(metrics)
      })
      send(worker, { kind: 'snapshot', id })
    }).finally(() => this.#snapshots.delete(id))
  }

  #fork(place: Place): void {
    Object.assign(place, { listening: false, startedAt: performance.now(), answers: false, unanswered: 0 })
    try {
      // The same program once more; structured clones keep what is undefined.
      cluster.setupPrimary({ args: ['worker', String(place.number)], serialization: 'advanced' })
      const worker = cluster.fork()
      // One that has no process does not exit either.
      if (worker.process.pid === undefined) worker.once('error', (error) => this.#notStarted(place, error))
      else this.#follow(place, worker)
    } catch (error) {
      this.#notStarted(place, error)
    }
  }

  #follow(place: Place, worker: Worker): void {
    closeWhatIsNotTaken(worker)
    place.worker = worker
    worker.on('message', (message: FromWorker) => this.#take(place, worker, message))
    worker.on('error', (error) => this.#logger.error({ err: error, worker: place.number }, 'a worker does not answer'))
    worker.once('exit', (code, signal) => this.#ended(place, worker.process.pid, code, signal))
  }

  /** By ticks, not by the clock: on a machine that was paused, all of them have missed the same. */
  #tick(): void {
    for (const place of this.#places) {
      const { worker, answers } = place
      if (!worker || !answers) continue
      if (place.unanswered === 0) send(worker, { kind: 'ping' })
      else if (place.unanswered === PATIENCE_TICKS) {
        this.#logger.error({ worker: place.number, workerPid: worker.process.pid }, 'a worker hangs: it is killed')
        worker.process.kill('SIGKILL')
      }
      place.unanswered++
    }
  }

  #take(place: Place, worker: Worker, message: FromWorker): void {
    if (message.kind === 'ready') {
      place.answers = true
      send(worker, { kind: 'run', config: this.#config })
    } else if (message.kind === 'pong') place.unanswered = 0
    else if (message.kind === 'listening') this.#listens(place, message.address)
    else if (message.kind === 'failed') this.#couldNotStart(place, message)
    else if (message.kind === 'snapshot') this.#snapshots.get(message.id)?.(message.metrics)
    else void this.sum().then((text) => send(worker, { kind: 'sum', id: message.id, text }))
  }

  #listens(place: Place, address: Address): void {
    place.listening = true
    if (place.failures > 0) this.#logger.info({ worker: place.number }, 'the worker is back')
    if (this.#places.every(({ listening }) => listening)) this.#allListen(address)
  }

  /** Hopeless where no other worker proves the opposite; else it may pass, as whatever ended the others' predecessor. */
  #couldNotStart({ number }: Place, { message, stack }: FromWorker & { kind: 'failed' }): void {
    const error = new Error(message)
    if (stack !== undefined) error.stack = stack
    if (this.#places.some(({ listening }) => listening))
      this.#logger.error({ err: error, worker: number }, 'a worker could not start')
    else {
      this.#stopping = true
      this.#fail(error)
    }
  }

  #ended(place: Place, pid: number | undefined, code: number | null, signal: string | null): void {
    place.worker = undefined
    place.listening = false
    if (this.#stopping) return
    const pause = this.#forkLater(place)
    this.#logger.error(
      { worker: place.number, workerPid: pid, code, signal, pause },
      'a worker ended: starting another',
    )
  }

  #notStarted(place: Place, error: unknown): void {
    if (this.#stopping) return
    const pause = this.#forkLater(place)
    this.#logger.error({ err: error, worker: place.number, pause }, 'no process for a worker: trying again')
  }

  /** @returns in how many milliseconds */
  #forkLater(place: Place): number {
    place.failures = performance.now() - place.startedAt > SOON_MS ? 1 : place.failures + 1
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** (place.failures - 1), LONGEST_PAUSE_MS)
    place.timer = setTimeout(() => this.#fork(place), pause)
    return pause
  }
}

/** To one that has just died it is said in vain. */
function send(worker: Worker, message: ToWorker): void {
  if (worker.isConnected()) worker.send(message, () => {})
}
