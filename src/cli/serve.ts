/** `ism serve`: runs ISM until it is told to stop. */
import { resolve } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Config } from '../config/config.ts'
import type { Embedded } from '../embedded/start.ts'
import type { StartOptions } from '../start-up.ts'
import { CONFIG_OPTION, configurationOf } from './configuration.ts'
import { rootUrl, welcome } from './first-chat.ts'
import { type Io, writeLine } from './io.ts'
import { listenForStop, type StopRequests } from './stop-signals.ts'
import { addSubcommand } from './subcommand.ts'
import { DEFAULT_DATA_DIRECTORY } from './token.ts'
import { within } from './within.ts'
import type { Address } from './worker-messages.ts'
import { keepRequestsYoung } from './young-requests.ts'

type ServeOptions = {
  config?: string
  migrate?: boolean
  embedded?: boolean
  port?: number
  data?: string
  workers: number
  workerPatience: number
}

/** ISM in this process, or in several. */
type Running = { listening: Promise<Address>; failed: Promise<never>; close(): Promise<void> }

/** Together below the ten seconds within which ISM promises to be gone. */
const APP_CLOSE_MS = 7_000
const DATABASE_STOP_MS = 2_500

export function addServe(program: Command, io: Io): void {
  const command = addSubcommand(program, 'serve', {
    summary: 'run the messenger',
    description:
      'Runs ISM on production.config.toml, or with --embedded on a PostgreSQL and a token issuer of its own, for ' +
      'development. SIGTERM and Ctrl-C stop it within ten seconds, a second one at once.',
    examples: [
      ['ism serve --embedded', 'needs no configuration; keeps everything in ./ism-data'],
      ['ism serve --embedded --port 8080 --data /tmp/chat', 'another port and data directory'],
      ['ism serve --migrate', 'runs on production.config.toml, migrates the database first'],
      ['ism serve --workers 4', 'four processes on one port'],
      ['ISM_MODE=staging ism serve', 'runs on staging.config.toml'],
    ],
    exitCodes: ['stopped when told to', 'could not start, failed, or was stopped at once', 'wrong usage'],
  })
  command
    .addOption(new Option(...CONFIG_OPTION).conflicts('embedded'))
    .option('--migrate', 'bring the database to this version first')
    .option('--embedded', 'run a PostgreSQL and a token issuer of its own, for development')
    .option('--port <number>', 'port to listen on instead of ism_port (default: 5403); 0 takes any free one', parsePort)
    .option('--data <dir>', `with --embedded: where everything is kept (default: ./${DEFAULT_DATA_DIRECTORY})`)
    .option('--workers <number>', 'processes that share the port, each a node of its own', parseWorkers, 1)
    .addOption(
      new Option('--worker-patience <seconds>', 'how long a worker may not answer until it is replaced')
        .argParser(Number)
        .default(30)
        .hideHelp(),
    )
    .action(async (options: ServeOptions) => {
      if (options.data !== undefined && !options.embedded) command.error('error: --data goes with --embedded only')
      const stop = listenForStop(io.signals)
      try {
        await Promise.race([serve(options, io, stop), stop.insisted])
      } finally {
        stop.stopListening()
      }
    })
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (!(port <= 65_535)) throw new InvalidArgumentError('Expected a number from 0 to 65535.')
  return port
}

function parseWorkers(text: string): number {
  const workers = /^\d{1,3}$/.test(text) ? Number(text) : 0
  if (workers < 1) throw new InvalidArgumentError('Expected a number from 1 to 999.')
  return workers
}

async function serve(options: ServeOptions, io: Io, stop: StopRequests): Promise<void> {
  keepRequestsYoung()
  const embedded = options.embedded ? await startDatabase(options, io) : undefined
  try {
    const config = embedded?.config ?? (await configurationOf(io, options.config, portLayer(options.port)))
    // Asked while the database was on its way up.
    if (!stop.isAsked) await runApp(config, options, io, stop, embedded)
  } finally {
    if (embedded) await within(DATABASE_STOP_MS, embedded.stop(), 'the database')
  }
}

async function runApp(config: Config, options: ServeOptions, io: Io, stop: StopRequests, embedded?: Embedded) {
  const { createLogger } = await import('../observability/logger.ts')
  const logger = createLogger(config.server.logLevel, io.log)
  const start = embedded
    ? { logger, migrate: true, progress: (line: string) => void writeLine(io.stderr, line) }
    : { logger, migrate: options.migrate === true }
  // A start that waits for its database is given up when told to stop: it has promised nobody anything yet.
  const running = await Promise.race([run(config, options, start), stop.asked.then(() => undefined)])
  if (!running) return
  try {
    const address = await Promise.race([running.listening, running.failed, stop.asked.then(() => undefined)])
    if (address) {
      logger.info(options.workers > 1 ? { ...address, workers: options.workers } : address, 'listening')
      if (embedded) {
        await introduce(address, embedded)
        io.stdout.write(welcomeFor(address, embedded, options))
      }
    }
    const signal = await Promise.race([stop.asked, running.failed])
    logger.info({ signal }, 'stopping')
  } finally {
    await within(APP_CLOSE_MS, running.close(), 'ISM')
  }
  logger.info('stopped')
}

async function run(config: Config, { workers, workerPatience }: ServeOptions, start: StartOptions): Promise<Running> {
  if (workers > 1) {
    const { startWorkers } = await import('./workers.ts')
    return startWorkers(workers, config, start, workerPatience)
  }
  const { startApp } = await import('../app.ts')
  const app = await startApp(config, start)
  return { listening: Promise.resolve(app.address), failed: app.failed, close: app.close }
}

/** ISM knows people from their first call: with it made, they can be invited before they come themselves. */
async function introduce(address: Address, { people }: Embedded): Promise<void> {
  const url = `${rootUrl(address)}/api/rooms`
  await Promise.all(people.map(({ token }) => fetch(url, { headers: { authorization: `Bearer ${token}` } })))
}

async function startDatabase({ port, data }: ServeOptions, io: Io): Promise<Embedded> {
  const { startEmbedded } = await import('../embedded/start.ts')
  return startEmbedded({
    dataDirectory: resolve(io.cwd, data ?? DEFAULT_DATA_DIRECTORY),
    port,
    env: io.env,
    cwd: io.cwd,
    progress: (line) => writeLine(io.stderr, line),
  })
}

const portLayer = (port: number | undefined) =>
  port === undefined ? undefined : { source: '--port', tables: { ism_port: port } }

function welcomeFor(address: Address, { dataDirectory, people }: Embedded, { data }: ServeOptions): string {
  const tokenOptions = data === undefined ? '' : ` --data '${data.replaceAll("'", `'\\''`)}'`
  return welcome({ ...address, dataDirectory, people, tokenOptions })
}
