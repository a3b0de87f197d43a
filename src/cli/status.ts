/** `ism status`: where the log is, and how far each of its projections. */
import type { Command } from 'commander'
import type { PostgresConfig } from '../config/config.ts'
import { CONFIG_OPTION, configurationOf } from './configuration.ts'
import { type Io, writeLine } from './io.ts'
import { addSubcommand } from './subcommand.ts'

type StatusOptions = { config?: string; json?: boolean }

export function addStatus(program: Command, io: Io): void {
  addSubcommand(program, 'status', {
    summary: 'show the event log and how far each of its projections is',
    description:
      'Shows the event log and its projections: the archive, which copies messages into the message store. A lag that ' +
      'only grows means that the store is down or too slow; nothing is lost meanwhile, but the log cannot be trimmed.',
    examples: [
      ['ism status', 'a table'],
      ['ism status --json', 'for a program to read'],
    ],
    exitCodes: ['shown', 'the configuration or the database refused', 'wrong usage'],
  })
    .option(...CONFIG_OPTION)
    .option('--json', 'answer in JSON')
    .action(async ({ config, json }: StatusOptions) => {
      const { postgres } = await configurationOf(io, config)
      const status = await readStatus(postgres)
      if (json) writeLine(io.stdout, JSON.stringify(status))
      else await print(status, io)
    })
}

async function readStatus(postgres: PostgresConfig) {
  const [{ openDatabase }, { readLogState }, { listProjections }] = await Promise.all([
    import('../infra/postgres.ts'),
    import('../log/log-repository.ts'),
    import('../log/projection.ts'),
  ])
  const db = openDatabase({ ...postgres, poolSize: 1 }, { queryStarted() {}, connectionFailed() {} })
  try {
    const { epoch, headSeq, trimmedSeq } = await readLogState(db)
    const projections = (await listProjections(db)).map(({ name, seq, lagSeconds, holder }) => {
      return { name, seq, lag: headSeq - seq, lagSeconds: Math.round(lagSeconds * 10) / 10, holder }
    })
    return { log: { epoch, headSeq, trimmedSeq }, projections }
  } finally {
    await db.close()
  }
}

async function print({ log, projections }: Awaited<ReturnType<typeof readStatus>>, io: Io): Promise<void> {
  const { default: Table } = await import('cli-table3')
  const kept =
    log.headSeq > log.trimmedSeq ? `seq ${log.trimmedSeq + 1} to ${log.headSeq}` : `empty after seq ${log.headSeq}`
  writeLine(io.stdout, `log: ${kept}, epoch ${log.epoch}`)
  const table = new Table({
    head: ['projection', 'position', 'behind', 'for', 'worked at by'],
    style: { head: [], border: [], compact: true },
  })
  table.push(
    ...projections.map(({ name, seq, lag, lagSeconds, holder }) => {
      return [name, seq, lag, lag > 0 ? `${lagSeconds} s` : '', holder ?? 'no node']
    }),
  )
  writeLine(io.stdout, projections.length > 0 ? table.toString() : 'no projection yet: start ism serve')
}
