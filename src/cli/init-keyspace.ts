/** `ism init-keyspace`: makes the keyspace and its tables in Cassandra or ScyllaDB, or tells how far they are. */
import { Argument, type Command, InvalidArgumentError } from 'commander'
import type { CassandraConfig, Replication } from '../config/config.ts'
import { replication } from '../config/value-types.ts'
import { CONFIG_OPTION, configurationOf } from './configuration.ts'
import { type Io, writeLine } from './io.ts'
import { appliedCount, printSchemaStatus } from './schema-report.ts'
import { addSubcommand } from './subcommand.ts'

type InitKeyspaceOptions = { config?: string; replication?: Replication; dryRun?: boolean; json?: boolean }

export function addInitKeyspace(program: Command, io: Io): void {
  const command = addSubcommand(program, 'init-keyspace', {
    summary: 'make the keyspace and tables of [message_db_config]',
    description:
      'Makes the keyspace and the tables for messages in Cassandra or ScyllaDB, beside the table that ISM 0.7.9 left. ' +
      'Safe to run twice, and on several machines at once. Without --replication a new keyspace gets three replicas ' +
      'in the local datacenter, or as many as it has nodes; an existing one keeps its own.',
    examples: [
      ['ism init-keyspace', 'makes what is missing'],
      ['ism init-keyspace --replication 3', 'three replicas in the local datacenter'],
      ['ism init-keyspace --replication dc1:3,dc2:2', 'replicas in two datacenters'],
      ['ism init-keyspace --dry-run', 'prints the CQL and changes nothing'],
      ['ism init-keyspace status --json', 'what is applied, pending and unknown'],
    ],
    exitCodes: ['done, or nothing to do', 'the configuration or the cluster refused', 'wrong usage'],
  })
  command
    .addArgument(new Argument('[action]', 'what to do').choices(['up', 'status']).default('up'))
    .option(...CONFIG_OPTION)
    .option(
      '--replication <replicas>',
      'replicas of a new keyspace: a number, or datacenter:number,…',
      parseReplication,
    )
    .option('--dry-run', 'with up: print the CQL and change nothing')
    .option('--json', 'answer in JSON')
    .action(async (action: 'up' | 'status', options: InitKeyspaceOptions) => {
      if (action === 'status') {
        if (options.dryRun) command.error('error: --dry-run goes with up only')
        if (options.replication) command.error('error: --replication goes with up only')
      }
      const { messages } = await configurationOf(io, options.config)
      if (messages.provider !== 'cassandra')
        throw new Error(
          'the configuration has no [message_db_config]: messages are kept in PostgreSQL, see ism migrate',
        )
      await (action === 'up' ? up(messages, options, io) : status(messages, options, io))
    })
}

function parseReplication(text: string): Replication {
  const parsed = replication.parse(text)
  if ('problem' in parsed) throw new InvalidArgumentError(`It ${parsed.problem}; expected ${replication.expected}.`)
  return parsed.value
}

async function up(config: CassandraConfig, options: InitKeyspaceOptions, io: Io): Promise<void> {
  const { initKeyspace } = await import('../infra/cassandra-schema.ts')
  const { replication: replicas, dryRun = false, json } = options
  const result = await initKeyspace(config, {
    logger: (line) => writeLine(io.stderr, line),
    replication: replicas,
    dryRun,
  })
  if (json) writeLine(io.stdout, JSON.stringify({ dryRun, ...result }))
  else if (dryRun) writeLine(io.stdout, result.cql?.trim() || '-- nothing to do')
  else writeLine(io.stdout, appliedCount(result.applied.length))
}

async function status(config: CassandraConfig, { json }: InitKeyspaceOptions, io: Io): Promise<void> {
  const { keyspaceStatus } = await import('../infra/cassandra-schema.ts')
  const found = await keyspaceStatus(config)
  if (json) writeLine(io.stdout, JSON.stringify({ keyspace: config.keyspace, ...found }))
  else if (found.replication) await printSchemaStatus(found, `keyspace ${config.keyspace}`, 'ism init-keyspace', io)
  else writeLine(io.stdout, `there is no keyspace ${config.keyspace}: run ism init-keyspace`)
}
