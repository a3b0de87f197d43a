/** `ism check-config`: everything that is wrong with the configuration, and with what it names. */
import type { Command } from 'commander'
import type { Problem } from '../config/problem.ts'
import { CONFIG_OPTION } from './configuration.ts'
import type { Check } from './connection-checks.ts'
import { type Io, writeLine } from './io.ts'
import { addSubcommand } from './subcommand.ts'

type CheckOptions = { config?: string; connect?: boolean; json?: boolean }

type Report = { ok: boolean; problems: Problem[]; warnings: Problem[]; checks: Check[] }

export function addCheckConfig(program: Command, io: Io): void {
  addSubcommand(program, 'check-config', {
    summary: 'report everything that is wrong with the configuration',
    description:
      'Reports every problem of the configuration at once: its key, what is wrong and what would be right. ' +
      'Secrets are never shown.',
    examples: [
      ['ism check-config', 'checks production.config.toml and the environment'],
      ['ism check-config --connect', 'also tries every store and the token issuer'],
      ['ism check-config --config other.toml --json', 'another file, for a program to read'],
    ],
    exitCodes: ['nothing is wrong', 'there are problems', 'wrong usage'],
  })
    .option(...CONFIG_OPTION)
    .option('--connect', 'try every store and the token issuer')
    .option('--json', 'answer in JSON')
    .action((options: CheckOptions) => checkConfig(options, io))
}

async function checkConfig(options: CheckOptions, io: Io): Promise<void> {
  const { readConfiguration } = await import('../config/read.ts')
  const { config, problems, warnings, file } = readConfiguration({ env: io.env, cwd: io.cwd, file: options.config })
  const checks = config && options.connect ? await connectionChecks(config) : []
  const ok = problems.length === 0 && checks.every((check) => check.ok)
  const report: Report = { ok, problems, warnings, checks }
  if (options.json) writeLine(io.stdout, JSON.stringify(report))
  else await print(report, options, io)
  if (!ok) throw new Error(failure(report, file))
  if (!options.json) writeLine(io.stdout, `${file} is in order`)
}

async function connectionChecks(config: Parameters<typeof import('./connection-checks.ts').checkConnections>[0]) {
  const { checkConnections } = await import('./connection-checks.ts')
  return checkConnections(config)
}

async function print({ problems, warnings, checks }: Report, { connect }: CheckOptions, io: Io): Promise<void> {
  const { formatProblem } = await import('../config/problem.ts')
  for (const problem of problems) writeLine(io.stdout, `problem: ${formatProblem(problem)}`)
  for (const warning of warnings) writeLine(io.stdout, `warning: ${formatProblem(warning)}`)
  if (connect && problems.length > 0) writeLine(io.stdout, 'nothing was connected to: the configuration comes first')
  for (const { name, ok, milliseconds, detail } of checks) {
    writeLine(
      io.stdout,
      `${ok ? 'ok    ' : 'failed'}  ${name.padEnd(16)}  ${`${milliseconds} ms`.padStart(8)}  ${detail}`,
    )
  }
}

function failure({ problems, checks }: Report, file: string): string {
  const failed = checks.filter((check) => !check.ok).length
  if (problems.length === 0) return `${failed} of ${checks.length} connections failed`
  return `${problems.length} ${problems.length === 1 ? 'problem' : 'problems'} in ${file || 'the configuration'} and the environment`
}
