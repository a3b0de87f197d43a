/** `ism worker N`: one of the processes of `ism serve --workers`, which starts it; nobody types it. */
import cluster from 'node:cluster'
import type { Command } from 'commander'
import type { App } from '../app.ts'
import type { Config } from '../config/config.ts'
import { oneLine } from './error-report.ts'
import type { Io } from './io.ts'
import { listenForStop } from './stop-signals.ts'
import { within } from './within.ts'
import type { FromWorker, ToWorker } from './worker-messages.ts'
import { keepRequestsYoung } from './young-requests.ts'

const CLOSE_MS = 6_100

export function addWorker(program: Command, io: Io): void {
  program
    .command('worker', { hidden: true })
    .argument('<number>')
    .action(async (number: string) => {
      if (!cluster.isWorker) throw new Error('a worker is started by ism serve --workers only')
      const stop = listenForStop(io.signals)
      try {
        await Promise.race([work(Number(number), io, stop.asked), stop.insisted])
      } finally {
        stop.stopListening()
        process.channel?.unref()
      }
    })
}

/** Where the primary process is gone, node:cluster ends this one. */
async function work(number: number, io: Io, signalled: Promise<unknown>): Promise<void> {
  keepRequestsYoung()
  const primary = openPrimary()
  await primary.say({ kind: 'ready' })
  const config = await primary.config
  const [{ startApp }, { createLogger }] = await Promise.all([
    import('../app.ts'),
    import('../observability/logger.ts'),
  ])
  const logger = createLogger(config.server.logLevel, io.log).child({ worker: number })
  const asked = Promise.race([signalled, primary.stop])
  const starting = startApp(config, { logger, migrate: false, name: `worker ${number}`, scrape: primary.sum })
  const app = await Promise.race([starting, asked.then(() => undefined)]).catch(async (error: unknown) => {
    const stack = error instanceof Error ? error.stack : undefined
    await primary.say({ kind: 'failed', message: oneLine(error), stack })
    // The primary process says why, once for all of them.
    process.exit(1)
  })
  if (!app) return
  try {
    primary.answerFor(app)
    await primary.say({ kind: 'listening', address: app.address })
    await Promise.race([asked, app.failed])
  } finally {
    await within(CLOSE_MS, app.close(), 'the worker')
  }
}

function openPrimary() {
  let app: App | undefined
  let asked = 0
  const sums = new Map<number, (text: string) => void>()
  let run: (config: Config) => void
  let stop: () => void
  const config = new Promise<Config>((resolve) => {
    run = resolve
  })
  const stopped = new Promise<void>((resolve) => {
    stop = resolve
  })

  process.on('message', (message: ToWorker) => {
    if (message.kind === 'run') run(message.config)
    else if (message.kind === 'stop') stop()
    else if (message.kind === 'ping') void say({ kind: 'pong' })
    else if (message.kind === 'snapshot') void snapshot(message.id)
    else {
      sums.get(message.id)?.(message.text)
      sums.delete(message.id)
    }
  })

  async function snapshot(id: number): Promise<void> {
    if (app) await say({ kind: 'snapshot', id, metrics: await app.metrics() })
  }

  function say(message: FromWorker): Promise<void> {
    return new Promise((resolve) => {
      if (process.connected) process.send?.(message, undefined, undefined, () => resolve())
      else resolve()
    })
  }

  return {
    config,
    stop: stopped,
    say,
    answerFor(started: App) {
      app = started
    },
    /** The sum of all workers' metrics. */
    sum(): Promise<string> {
      const id = ++asked
      return new Promise((resolve) => {
        sums.set(id, resolve)
        void say({ kind: 'sum', id })
      })
    },
  }
}
