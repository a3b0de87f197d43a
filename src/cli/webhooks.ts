/** `ism webhooks`: what an operator does about events that receivers refused, and about receivers that are gone. */
import type { Command } from 'commander'
import type { Config, WebhookReceiver } from '../config/config.ts'
import type { Database } from '../infra/postgres.ts'
import { CONFIG_OPTION, configurationOf } from './configuration.ts'
import { type Io, writeLine } from './io.ts'
import { addSubcommand } from './subcommand.ts'
import { withDatabase } from './with-database.ts'

type WebhooksOptions = { config?: string; dryRun?: boolean; json?: boolean }

type ReceiverReport = {
  name: string
  delivered: number
  /** Still given up. */
  left: number
  /** Why, of the last one. */
  error: string | null
}

export function addWebhooks(program: Command, io: Io): void {
  const webhooks = program.command('webhooks').summary('deliver or discard events that receivers refused')
  addSubcommand(webhooks, 'retry [name]', {
    summary: 'deliver events that receivers refused',
    description:
      'Posts once more what receivers of [[webhooks]] refused twenty times, oldest first, until sixteen in a row have ' +
      'no answer; ISM need not run. What is accepted is forgotten, what is not stays. `ism status` counts them.',
    examples: [
      ['ism webhooks retry --dry-run', 'says how many there are'],
      ['ism webhooks retry', 'delivers them'],
      ['ism webhooks retry backend --json', 'those of one receiver, for a program to read'],
    ],
    exitCodes: ['none is left', 'some are left: refused, not answered, or not configured', 'wrong usage'],
  })
    .option(...CONFIG_OPTION)
    .option('--dry-run', 'deliver nothing, only count')
    .option('--json', 'answer in JSON')
    .action((name: string | undefined, options: WebhooksOptions) => retry(name, options, io))
  addSubcommand(webhooks, 'discard <name>', {
    summary: 'forget events that a receiver refused',
    description: 'Forgets every event that the receiver refused, for good. `ism webhooks retry` delivers them instead.',
    examples: [['ism webhooks discard backend', 'forgets them']],
    exitCodes: ['forgotten', 'there is no such receiver, or the database refused', 'wrong usage'],
  })
    .option(...CONFIG_OPTION)
    .action((name: string, options: WebhooksOptions) => discard(name, options, io))
  addSubcommand(webhooks, 'forget <name>', {
    summary: 'forget a receiver that is no longer configured',
    description:
      'Drops the position of a receiver that was taken out of [[webhooks]], and the events that it refused. Until then ' +
      'one that comes back under the same name goes on where it was.',
    examples: [['ism webhooks forget backend', 'after it was taken out, and the nodes were restarted']],
    exitCodes: ['forgotten', 'it is configured, a node works at it, or there is no such receiver', 'wrong usage'],
  })
    .option(...CONFIG_OPTION)
    .action((name: string, options: WebhooksOptions) => forget(name, options, io))
}

async function retry(name: string | undefined, { config: file, dryRun, json }: WebhooksOptions, io: Io): Promise<void> {
  const config = await configurationOf(io, file)
  const reports = await withDatabase(config, async (db) => {
    const dead = (await deadEvents(db)).filter((each) => name === undefined || each.name === name)
    if (name !== undefined && dead.length === 0) requireConfigured(config, name)
    const reports: ReceiverReport[] = []
    for (const each of dead) {
      const webhook = config.webhooks.find((configured) => configured.name === each.name)
      if (dryRun) reports.push({ name: each.name, delivered: 0, left: each.count, error: null })
      else if (!webhook) reports.push({ name: each.name, delivered: 0, left: each.count, error: 'is not configured' })
      else reports.push(await redeliver(db, webhook))
    }
    return reports
  })
  if (json) writeLine(io.stdout, JSON.stringify({ dryRun: dryRun === true, receivers: reports }))
  else print(reports, dryRun === true, io)
  const left = reports.reduce((sum, report) => sum + report.left, 0)
  if (left > 0 && !dryRun) throw new Error(`${left} ${left === 1 ? 'event is' : 'events are'} left`)
}

async function redeliver(db: Database, webhook: WebhookReceiver): Promise<ReceiverReport> {
  const [{ redeliverEvents }, { createReceiver }] = await Promise.all([
    import('../webhooks/dead-events.ts'),
    import('../webhooks/receiver.ts'),
  ])
  const receiver = createReceiver(webhook)
  const { name } = webhook
  try {
    const { delivered, error } = await redeliverEvents(db, name, receiver)
    const left = (await deadEvents(db)).find((each) => each.name === name)?.count ?? 0
    return { name, delivered, left, error: error ?? null }
  } finally {
    await receiver.close()
  }
}

async function discard(name: string, { config: file }: WebhooksOptions, io: Io): Promise<void> {
  const [{ discardDeadDeliveries }, { webhookTarget }] = await Promise.all([
    import('../deliveries/dead-delivery-repository.ts'),
    import('../webhooks/webhook-projection.ts'),
  ])
  const config = await configurationOf(io, file)
  const count = await withDatabase(config, async (db) => {
    const dead = (await deadEvents(db)).find((each) => each.name === name)
    if (!dead) requireConfigured(config, name)
    await discardDeadDeliveries(db, webhookTarget(name))
    return dead?.count ?? 0
  })
  writeLine(io.stdout, `${name}: ${count} forgotten`)
}

/** A name of which nothing was given up: it may be misspelt. */
function requireConfigured({ webhooks }: Config, name: string): void {
  if (!webhooks.some((webhook) => webhook.name === name)) throw new Error(`there is no receiver named ${name}`)
}

async function forget(name: string, { config: file }: WebhooksOptions, io: Io): Promise<void> {
  const config = await configurationOf(io, file)
  if (config.webhooks.some((webhook) => webhook.name === name))
    throw new Error(`${name} is configured: take it out of [[webhooks]] first`)
  const [{ forgetProjection }, { discardDeadDeliveries }, { webhookTarget }] = await Promise.all([
    import('../log/projection.ts'),
    import('../deliveries/dead-delivery-repository.ts'),
    import('../webhooks/webhook-projection.ts'),
  ])
  const target = webhookTarget(name)
  await withDatabase(config, async (db) => {
    const outcome = await forgetProjection(db, target)
    if (outcome === 'held') throw new Error(`a node still works at ${target}: restart it without this receiver first`)
    if (outcome === 'unknown') throw new Error(`there is no receiver named ${name}`)
    await discardDeadDeliveries(db, target)
  })
  writeLine(io.stdout, `${target} is forgotten`)
}

/** How many each receiver refused; one that refused none is not among them. */
async function deadEvents(db: Database): Promise<{ name: string; count: number }[]> {
  const [{ countDeadDeliveries }, { webhookTarget }] = await Promise.all([
    import('../deliveries/dead-delivery-repository.ts'),
    import('../webhooks/webhook-projection.ts'),
  ])
  const prefix = webhookTarget('')
  return (await countDeadDeliveries(db)).flatMap(({ target, count }) =>
    target.startsWith(prefix) ? [{ name: target.slice(prefix.length), count }] : [],
  )
}

function print(reports: ReceiverReport[], isDryRun: boolean, io: Io): void {
  for (const { name, delivered, left, error } of reports) {
    const what = isDryRun ? `${left} would be tried` : `${delivered} delivered, ${left} left`
    writeLine(io.stdout, `${name}: ${what}${error === null ? '' : ` (${error})`}`)
  }
  if (reports.length === 0) writeLine(io.stdout, 'no event was given up')
}
