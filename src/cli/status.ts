/** `ism status`: where the log is, how far each of its projections, and each node that reads it. */
import type { Command } from 'commander'
import type { Config, KafkaConfig } from '../config/config.ts'
import { CONFIG_OPTION, configurationOf } from './configuration.ts'
import { type Io, writeLine } from './io.ts'
import { addSubcommand } from './subcommand.ts'
import { withDatabase } from './with-database.ts'

type KafkaStatus = { topic: string; consumerGroup: string } & ({ lag: number } | { error: string })

type Status = Awaited<ReturnType<typeof readStatus>> & { kafka?: KafkaStatus }

type StatusOptions = { config?: string; json?: boolean }

export function addStatus(program: Command, io: Io): void {
  addSubcommand(program, 'status', {
    summary: 'show the event log, how far each of its projections is, and the nodes',
    description:
      'Shows the event log, the nodes that run, each as of at most three seconds ago, and the projections: the archive, which copies messages into the message store, and what is ' +
      'delivered to others, such as pushes. A lag that only grows means that the other side is down or too slow; nothing is ' +
      'lost meanwhile. For the archive the log is kept as long as it takes, for the others as long as retention_hours says. ' +
      'Counts what was given up, too.',
    examples: [
      ['ism status', 'a table'],
      ['ism status --json', 'for a program to read'],
    ],
    exitCodes: ['shown', 'the configuration or the database refused', 'wrong usage'],
  })
    .option(...CONFIG_OPTION)
    .option('--json', 'answer in JSON')
    .action(async ({ config, json }: StatusOptions) => {
      const judged = await configurationOf(io, config)
      const { kafka, webhooks } = judged
      const status = { ...(await readStatus(judged)), ...(kafka && { kafka: await readKafkaStatus(kafka) }) }
      if (json) writeLine(io.stdout, JSON.stringify(status))
      else
        await print(
          status,
          webhooks.map(({ name }) => name),
          io,
        )
    })
}

async function readStatus(config: Config) {
  const [{ readLogState }, { listProjections }, { listNodes }, { countDeadDeliveries }] = await Promise.all([
    import('../log/log-repository.ts'),
    import('../log/projection.ts'),
    import('../presence/node-repository.ts'),
    import('../deliveries/dead-delivery-repository.ts'),
  ])
  return await withDatabase(config, async (db) => {
    const { epoch, headSeq, trimmedSeq } = await readLogState(db)
    const projections = (await listProjections(db)).map(({ name, seq, lagSeconds, holder, brokenAt }) => {
      return { name, seq, lag: headSeq - seq, lagSeconds: tenths(lagSeconds), holder, brokenAt }
    })
    const nodes = (await listNodes(db)).map((node) => ({ ...node, lagSeconds: tenths(node.lagSeconds) }))
    return {
      log: { epoch, headSeq, trimmedSeq },
      projections,
      nodes,
      deadDeliveries: await countDeadDeliveries(db),
    }
  })
}

/** Not reachable is a status, too. */
async function readKafkaStatus(config: KafkaConfig): Promise<KafkaStatus> {
  const [{ readTopicStatus }, { oneLine }] = await Promise.all([
    import('../infra/kafka.ts'),
    import('./error-report.ts'),
  ])
  try {
    const { topic, consumerGroup, lag } = await readTopicStatus(config)
    return { topic, consumerGroup, lag }
  } catch (error) {
    return { topic: config.topic, consumerGroup: config.consumerGroup, error: oneLine(error) }
  }
}

const tenths = (seconds: number) => Math.round(seconds * 10) / 10

async function print(
  { log, projections, nodes, deadDeliveries, kafka }: Status,
  receivers: string[],
  io: Io,
): Promise<void> {
  const { default: Table } = await import('cli-table3')
  const kept =
    log.headSeq > log.trimmedSeq ? `seq ${log.trimmedSeq + 1} to ${log.headSeq}` : `empty after seq ${log.headSeq}`
  writeLine(io.stdout, `log: ${kept}, epoch ${log.epoch}`)
  if (kafka) writeLine(io.stdout, kafkaLine(kafka))
  for (const { target, count } of deadDeliveries) writeLine(io.stdout, `given up: ${count} for ${target}`)
  const tableOf = (head: string[], rows: (string | number)[][]) => {
    const table = new Table({ head, style: { head: [], border: [], compact: true } })
    table.push(...rows)
    return table.toString()
  }
  const since = (lag: number, lagSeconds: number) => (lag > 0 ? `${lagSeconds} s` : '')
  const nameOf = (holder: string | null) => {
    if (holder === null) return 'no node'
    return nodes.find((node) => node.holder === holder)?.name ?? holder
  }
  if (projections.length === 0) {
    writeLine(io.stdout, 'no projection yet: start ism serve')
    return
  }
  writeLine(
    io.stdout,
    tableOf(
      ['projection', 'position', 'behind', 'for', 'worked at by'],
      projections.map(({ name, seq, lag, lagSeconds, holder, brokenAt }) => {
        const [, receiver] = /^webhook:(.+)$/.exec(name) ?? []
        const worker = brokenAt === null ? nameOf(holder) : `broken: ism resume ${name}`
        const isGone = receiver !== undefined && !receivers.includes(receiver)
        const note = isGone && holder === null ? `not configured: ism webhooks forget ${receiver}` : worker
        return [name, seq, lag, since(lag, lagSeconds), note]
      }),
    ),
  )
  writeLine(
    io.stdout,
    tableOf(
      ['node', 'position', 'behind', 'for', 'people'],
      nodes.map(({ name, tailSeq, lag, lagSeconds, people }) => {
        return [name, tailSeq, lag, since(lag, lagSeconds), people]
      }),
    ),
  )
}

function kafkaLine(kafka: KafkaStatus): string {
  const about = `kafka: topic ${kafka.topic}, group ${kafka.consumerGroup}`
  return 'error' in kafka ? `${about}: ${kafka.error}` : `${about}: ${kafka.lag} records to read`
}
