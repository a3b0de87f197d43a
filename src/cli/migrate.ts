/** `ism migrate`: brings the database to this version's schema, or tells how far it is. */
import { Argument, type Command } from 'commander'
import type { PostgresConfig } from '../config/config.ts'
import { CONFIG_OPTION, configurationOf } from './configuration.ts'
import { type Io, writeLine } from './io.ts'
import { appliedCount, printSchemaStatus } from './schema-report.ts'
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
    writeLine(io.stdout, appliedCount(result.applied.length))
  }
}

async function status(postgres: PostgresConfig, { json }: MigrateOptions, io: Io): Promise<void> {
  const { migrationStatus } = await import('../infra/migrations.ts')
  const found = await migrationStatus(postgres)
  if (json) writeLine(io.stdout, JSON.stringify(found))
  else await printSchemaStatus(found, 'the database', 'ism migrate', io)
}
