/** `ism migrate`: brings the database to this version's schema, or tells how far it is. */
import { Argument, type Command } from 'commander'
import type { PostgresConfig } from '../config/config.ts'
import { CONFIG_OPTION, configurationOf } from './configuration.ts'
import { type Io, writeLine } from './io.ts'
import { addSubcommand } from './subcommand.ts'

type MigrateOptions = { config?: string; dryRun?: boolean; json?: boolean }

export function addMigrate(program: Command, io: Io): void {
  const command = addSubcommand(program, 'migrate', {
    summary: "bring the database to this version's schema",
    description:
      "Brings the PostgreSQL database to this version's schema; adopts one of ISM 0.7.9 in place. " +
      'Safe to run twice, and on several machines at once.',
    examples: [
      ['ism migrate', 'applies what is pending'],
      ['ism migrate --dry-run', 'prints the SQL and changes nothing'],
      ['ism migrate status --json', 'what is applied, pending and unknown'],
    ],
    exitCodes: ['done, or nothing to do', 'the configuration or the database refused', 'wrong usage'],
  })
  command
    .addArgument(new Argument('[action]', 'what to do').choices(['up', 'status']).default('up'))
    .option(...CONFIG_OPTION)
    .option('--dry-run', 'with up: print the SQL and change nothing')
    .option('--json', 'answer in JSON')
    .action(async (action: 'up' | 'status', options: MigrateOptions) => {
      if (action === 'status' && options.dryRun) command.error('error: --dry-run goes with up only')
      const { postgres } = await configurationOf(io, options.config)
      await (action === 'up' ? up(postgres, options, io) : status(postgres, options, io))
    })
}

async function up(postgres: PostgresConfig, { dryRun = false, json }: MigrateOptions, io: Io): Promise<void> {
  const { migrate } = await import('../infra/migrations.ts')
  const result = await migrate(postgres, { logger: (line) => writeLine(io.stderr, line), dryRun })
  if (json) {
    writeLine(io.stdout, JSON.stringify({ dryRun, ...result }))
  } else if (dryRun) {
    writeLine(io.stdout, result.sql?.trim() || '-- nothing to do')
  } else {
    const count = result.applied.length
    writeLine(io.stdout, count === 0 ? 'nothing to do' : `${count} ${count === 1 ? 'migration' : 'migrations'} applied`)
  }
}

async function status(postgres: PostgresConfig, { json }: MigrateOptions, io: Io): Promise<void> {
  const [{ migrationStatus }, { default: Table }] = await Promise.all([
    import('../infra/migrations.ts'),
    import('cli-table3'),
  ])
  const found = await migrationStatus(postgres)
  if (json) {
    writeLine(io.stdout, JSON.stringify(found))
    return
  }
  const rows = (['applied', 'pending', 'unknown'] as const).flatMap((state) =>
    found[state].map((name) => [state, name]),
  )
  const table = new Table({ head: ['state', 'migration'], style: { head: [], border: [], compact: true } })
  table.push(...rows)
  writeLine(io.stdout, table.toString())
  writeLine(io.stdout, summary(found))
}

function summary({ pending, unknown }: { pending: string[]; unknown: string[] }): string {
  if (unknown.length > 0) return 'the database is newer than this version of ISM'
  return pending.length > 0 ? 'the database is behind: run ism migrate' : 'the database is up to date'
}
