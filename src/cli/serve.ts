/** `ism serve`: runs ISM until it is told to stop. */
import { resolve } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { App } from '../app.ts'
import type { Config } from '../config/config.ts'
import type { Embedded } from '../embedded/start.ts'
import { CONFIG_OPTION, configurationOf } from './configuration.ts'
import { rootUrl, welcome } from './first-chat.ts'
import { type Io, writeLine } from './io.ts'
import { listenForStop, type StopRequests } from './stop-signals.ts'
import { addSubcommand } from './subcommand.ts'
import { DEFAULT_DATA_DIRECTORY } from './token.ts'

type ServeOptions = { config?: string; migrate?: boolean; embedded?: boolean; port?: number; data?: string }

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

async function serve(options: ServeOptions, io: Io, stop: StopRequests): Promise<void> {
  const embedded = options.embedded ? await startDatabase(options, io) : undefined
  try {
    const config = embedded?.config ?? (await configurationOf(io, options.config, portLayer(options.port)))
    await runApp(config, options, io, stop, embedded)
  } finally {
    if (embedded) await within(DATABASE_STOP_MS, embedded.stop(), 'the database')
  }
}

async function runApp(config: Config, options: ServeOptions, io: Io, stop: StopRequests, embedded?: Embedded) {
  const [{ startApp }, { createLogger }] = await Promise.all([
    import('../app.ts'),
    import('../observability/logger.ts'),
  ])
  const logger = createLogger(config.server.logLevel, io.log)
  const start = embedded
    ? { logger, migrate: true, progress: (line: string) => void writeLine(io.stderr, line) }
    : { logger, migrate: options.migrate === true }
  // A start that waits for its database is given up when told to stop: it has promised nobody anything yet.
  const app = await Promise.race([startApp(config, start), stop.asked.then(() => undefined)])
  if (!app) return
  try {
    if (embedded) {
      await introduce(app, embedded)
      io.stdout.write(welcomeFor(app, embedded, options))
    }
    const signal = await Promise.race([stop.asked, app.failed])
    logger.info({ signal }, 'stopping')
  } finally {
    await within(APP_CLOSE_MS, app.close(), 'ISM')
  }
  logger.info('stopped')
}

/** ISM knows people from their first call: with it made, they can be invited before they come themselves. */
async function introduce({ address }: App, { people }: Embedded): Promise<void> {
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

function welcomeFor({ address }: App, { dataDirectory, people }: Embedded, { data }: ServeOptions): string {
  const tokenOptions = data === undefined ? '' : ` --data '${data.replaceAll("'", `'\\''`)}'`
  return welcome({ ...address, dataDirectory, people, tokenOptions })
}

/** @throws where `work` takes longer, so that the process ends all the same */
async function within(milliseconds: number, work: Promise<void>, what: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not stop in time`)), milliseconds)
  })
  try {
    await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
