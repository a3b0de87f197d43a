/** The command line `ism`: from arguments and surroundings to an exit code; 0 done, 1 failed, 2 wrong usage. */
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Command, CommanderError } from 'commander'
import { addCheckConfig } from './check-config.ts'
import { reportError } from './error-report.ts'
import { addInit } from './init.ts'
import { addInitKeyspace } from './init-keyspace.ts'
import { type Io, writeLine } from './io.ts'
import { addMigrate } from './migrate.ts'
import { watchParent } from './orphan-watch.ts'
import { addPush } from './push.ts'
import { addResume } from './resume.ts'
import { addSendNotification } from './send-notification.ts'
import { addServe } from './serve.ts'
import { addStatus } from './status.ts'
import { addToken } from './token.ts'
import { addWebhooks } from './webhooks.ts'
import { addWorker } from './worker.ts'

const PACKAGE = new URL('../../package.json', import.meta.url)

/** `argv` begins with the subcommand. */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  const program = createProgram(io)
  try {
    await program.parseAsync(argv, { from: 'user' })
    return 0
  } catch (error) {
    // Help and version that were asked for come as errors too; all others are wrong usage.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    reportError(error, io.stderr, { debug: program.opts()['debug'] === true })
    return 1
  }
}

function createProgram(io: Io): Command {
  const { version } = JSON.parse(readFileSync(PACKAGE, 'utf8')) as { version: string }
  const program = new Command('ism')
    .description('An instant messenger for SaaS backends.')
    .version(version)
    .option('--debug', 'print stack traces')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      // One line: the hint of showHelpAfterError follows on it.
      outputError: (message, write) =>
        write(
          `ism: ${message
            .replace(/^error: /, '')
            .trim()
            .replaceAll('\n', ' ')}`,
        ),
    })
    .showHelpAfterError(' (see ism --help)')
    .addHelpText(
      'after',
      "\nBegin with `ism serve --embedded`: it needs nothing else. Each command's --help has examples.",
    )
  const subcommands = [addServe, addMigrate, addInitKeyspace, addCheckConfig, addStatus, addSendNotification]
  for (const add of [...subcommands, addPush, addWebhooks, addResume, addInit, addToken, addWorker]) add(program, io)
  return program
}

/** Runs the command line as this process; resolves to its exit code once all output is written. */
export async function runProcess(): Promise<number> {
  const { stdout, stderr, env } = process
  let lost: NodeJS.ErrnoException | undefined
  // A reader that went away (`ism … | head`) is no reason to fail.
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') lost = error
  })
  stderr.on('error', () => {})
  watchParent(env, process, (signal) => process.kill(process.pid, signal))
  const code = await main(process.argv.slice(2), {
    stdout,
    stderr,
    // Opened at its first use only: an open standard input may keep a process alive.
    get stdin() {
      return process.stdin
    },
    env,
    cwd: process.cwd(),
    signals: process,
  })
  const written = (output: NodeJS.WriteStream) => new Promise((done) => output.write('', done))
  await written(stdout)
  if (lost) writeLine(stderr, `ism: standard output cannot be written: ${lost.message}`)
  await written(stderr)
  return lost && code === 0 ? 1 : code
}

if (isEntryPoint(process.argv[1])) process.exitCode = await runProcess()

/** True in development, where this file is run itself instead of bin/ism.js. */
function isEntryPoint(script: string | undefined): boolean {
  return script !== undefined && existsSync(script) && realpathSync(script) === fileURLToPath(import.meta.url)
}
