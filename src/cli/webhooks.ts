/** `ism webhooks`: what an operator does about receivers that refused events, were away too long, or are gone. */
import { Argument, type Command } from 'commander'
import type { WebhookReceiver } from '../config/config.ts'
import type { Redelivered } from '../deliveries/redelivery.ts'
import type { Database } from '../infra/postgres.ts'
import { CONFIG_OPTION, configurationOf } from './configuration.ts'
import { type Io, writeLine } from './io.ts'
import { addSubcommand } from './subcommand.ts'

type Action = 'retry' | 'resume' | 'forget'

export function addWebhooks(program: Command, io: Io): void {
  const command = addSubcommand(program, 'webhooks', {
    summary: 'deliver again what receivers refused, and go on after an interruption',
    description:
      'retry posts the events that receivers refused for good once more, oldest first; those that are accepted are ' +
      'taken off the list. resume goes on with a receiver that was away for longer than the log is kept: what is ' +
      'gone from the log is not delivered. forget drops the position and the refused events of one that is no ' +
      'longer configured.',
    examples: [
      ['ism webhooks retry', 'everything that was refused'],
      ['ism webhooks retry backend', 'what the receiver named backend refused'],
      ['ism webhooks resume backend', 'after ism status calls webhook:backend broken'],
      ['ism webhooks forget backend', 'after [[webhooks]] lost it'],
    ],
    exitCodes: ['done', 'something is left, or the configuration or the database refused', 'wrong usage'],
  })
  command
    .addArgument(new Argument('<action>', 'what to do').choices(['retry', 'resume', 'forget']))
    .argument('[name]', 'the receiver; with retry: every one unless given')
    .option(...CONFIG_OPTION)
    .action(async (action: Action, name: string | undefined, options: { config?: string }) => {
      if (action !== 'retry' && name === undefined) command.error(`error: ${action} needs the name of a receiver`)
      const { postgres, webhooks } = await configurationOf(io, options.config)
      const { openDatabase } = await import('../infra/postgres.ts')
      const db = openDatabase({ ...postgres, poolSize: 1 }, { queryStarted() {}, connectionFailed() {} })
      try {
        if (action === 'retry') await retry(db, webhooks, name, io)
        else if (action === 'resume') await resume(db, String(name), io)
        else await forget(db, webhooks, String(name), io)
      } finally {
        await db.close()
      }
    })
}

async function retry(db: Database, webhooks: WebhookReceiver[], name: string | undefined, io: Io): Promise<void> {
  const chosen = name === undefined ? webhooks : webhooks.filter((webhook) => webhook.name === name)
  if (name !== undefined && chosen.length === 0) throw new Error(`there is no [[webhooks]] named ${name}`)
  const [{ redeliver }, { createReceiver }, { webhookTarget }] = await Promise.all([
    import('../deliveries/redelivery.ts'),
    import('../webhooks/receiver.ts'),
    import('../webhooks/webhook-projection.ts'),
  ])
  let isDone = true
  for (const webhook of chosen) {
    const receiver = createReceiver(webhook)
    const result = await redeliver(db, webhookTarget(webhook.name), ({ payload }) =>
      receiver.deliver(JSON.parse(payload)),
    ).finally(() => receiver.close())
    writeLine(io.stdout, `${webhook.name}: ${redelivered(result)}`)
    isDone &&= result.refused === 0 && result.unanswered === undefined
  }
  if (!isDone) throw new Error('what was not accepted stays; ism status counts it')
}

function redelivered({ delivered, refused, reason, unanswered }: Redelivered): string {
  const parts = [`${delivered} delivered`]
  if (refused > 0) parts.push(`${refused} refused (${reason})`)
  if (unanswered !== undefined) parts.push(`stopped: ${unanswered}`)
  return parts.join(', ')
}

async function resume(db: Database, name: string, io: Io): Promise<void> {
  const [{ listProjections, resumeProjection }, { readLogState }, { webhookTarget }] = await Promise.all([
    import('../log/projection.ts'),
    import('../log/log-repository.ts'),
    import('../webhooks/webhook-projection.ts'),
  ])
  const target = webhookTarget(name)
  const projection = (await listProjections(db)).find((each) => each.name === target)
  if (!projection?.brokenAt) throw new Error(`${target} is not broken`)
  const { trimmedSeq } = await readLogState(db)
  if (!(await resumeProjection(db, target, trimmedSeq))) throw new Error(`${target} is not broken`)
  writeLine(
    io.stdout,
    `${target} goes on after seq ${trimmedSeq}; it has not had what lay between ${projection.seq} and that, which is gone`,
  )
}

async function forget(db: Database, webhooks: WebhookReceiver[], name: string, io: Io): Promise<void> {
  if (webhooks.some((webhook) => webhook.name === name))
    throw new Error(`${name} is configured: take it out of [[webhooks]] first`)
  const [{ forgetProjection }, { deleteDeadDeliveriesOf }, { webhookTarget }] = await Promise.all([
    import('../log/projection.ts'),
    import('../deliveries/dead-delivery-repository.ts'),
    import('../webhooks/webhook-projection.ts'),
  ])
  const target = webhookTarget(name)
  const outcome = await forgetProjection(db, target)
  if (outcome === 'held') throw new Error(`a node still works at ${target}: restart it without this receiver first`)
  const dead = await deleteDeadDeliveriesOf(db, target)
  if (outcome === 'unknown' && dead === 0) throw new Error(`there is nothing of ${target}`)
  writeLine(io.stdout, `${target} is forgotten, with ${dead} refused events`)
}
