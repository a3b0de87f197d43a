/** `ism send-notification`: puts a notification into the log, by the configuration alone; ISM need not run. */
import { type Command, InvalidArgumentError } from 'commander'
import type { Database } from '../infra/postgres.ts'
import type { Notification } from '../notifications/notification.ts'
import { isUnavailable } from '../shared/app-error.ts'
import { parseUuid } from '../shared/ids.ts'
import { parseTimestamp } from '../shared/timestamp.ts'
import { CONFIG_OPTION, configurationOf } from './configuration.ts'
import { oneLine } from './error-report.ts'
import { type Io, writeLine } from './io.ts'
import { type NotificationInput, readMessage, readUsers } from './notification-input.ts'
import { progressBar } from './progress-bar.ts'
import { addSubcommand } from './subcommand.ts'
import { withDatabase } from './with-database.ts'

type SendOptions = NotificationInput & {
  config?: string
  id?: string
  createdAt?: Date
  dryRun?: boolean
  json?: boolean
}

type Report = {
  dryRun: boolean
  notifications: { id: string; seq: number | null; recipients: number; repeated: boolean }[]
  recipients: number
  unknownUsers: string[]
}

/** So many are named on a terminal; --json has all of them. */
const NAMED_UNKNOWN = 10

export function addSendNotification(program: Command, io: Io): void {
  const command = addSubcommand(program, 'send-notification', {
    summary: 'send users a message of your own, as an event in their streams',
    description:
      'Sends users any JSON as a SystemMessage event, on every device, and when they come back within the time that ' +
      'the log is kept. Writes to the database of the configuration; ISM need not run. Users that ISM does not know ' +
      'are named, the others served. More than 10,000 users get it in several notifications.',
    examples: [
      [`ism send-notification --to 7d1f0c52-6c1e-4c56-9a86-0d3c3f1f6b0e --message '{"text":"Hello"}'`, 'to one user'],
      ['ism send-notification --to-file users.txt --message-file notice.json', 'to a list of ids'],
      ['make-notice | ism send-notification --to-file users.txt -', 'the message from standard input'],
      ['ism send-notification --to-file users.txt --message-file notice.json --dry-run', 'says who is known'],
    ],
    exitCodes: ['sent', 'refused, failed, or none of the users is known', 'wrong usage'],
  })
  command
    .argument('[stdin]', '"-": read the message from standard input')
    .option(...CONFIG_OPTION)
    .option('--to <ids>', 'ids of users, with commas between them')
    .option('--to-file <file>', 'file of ids, separated by line breaks, blanks or commas; # begins a comment')
    .option('--message <json>', 'the message: any JSON, at most 64 KiB')
    .option('--message-file <file>', 'file with the message; "-" is standard input')
    .option('--id <uuid>', 'the same id again is the same notification, sent once; a new one unless given', parseId)
    .option('--created-at <time>', 'when it came about, as RFC 3339 says; users see it as sentAt', parseTime)
    .option('--dry-run', 'send nothing, only say who is known')
    .option('--json', 'answer in JSON')
    .action(async (stdin: string | undefined, options: SendOptions) => {
      if (stdin !== undefined && stdin !== '-') command.error(`error: "${stdin}" is no argument; "-" is`)
      const given = [stdin, options.message, options.messageFile].filter((source) => source !== undefined)
      if (given.length !== 1) command.error('error: give the message once: --message, --message-file, or "-"')
      if ((options.to === undefined) === (options.toFile === undefined))
        command.error('error: give the users once: --to or --to-file')
      if (options.toFile === '-' && (stdin ?? options.messageFile) === '-')
        command.error('error: users and message cannot both come from standard input')
      await sendNotification(stdin === '-' ? { ...options, messageFile: stdin } : options, io)
    })
}

function parseId(text: string): string {
  const id = parseUuid(text)
  if (!id) throw new InvalidArgumentError('Expected a UUID.')
  return id
}

function parseTime(text: string): Date {
  const time = parseTimestamp(text)
  if (!time) throw new InvalidArgumentError('Expected a time such as 2026-11-23T20:44:11Z.')
  return time
}

async function sendNotification(options: SendOptions, io: Io): Promise<void> {
  const config = await configurationOf(io, options.config)
  const notification = await readNotification(options, io)
  const report = await withDatabase(config, (db) =>
    options.dryRun ? dryRun(db, notification) : send(db, notification, io),
  )
  if (options.json) writeLine(io.stdout, JSON.stringify(report))
  else print(report, io)
  if (report.recipients === 0) throw new Error('none of the users is known to ISM: nothing was sent')
}

async function readNotification(options: SendOptions, io: Io): Promise<Notification> {
  const [{ v7 }, { parseMessage }] = await Promise.all([
    import('uuid'),
    import('../notifications/notification-schema.ts'),
  ])
  const toUsers = await readUsers(options, io)
  const message = parseMessage(await readMessage(options, io))
  return { id: options.id ?? v7(), toUsers, message, sentAt: options.createdAt }
}

async function send(db: Database, notification: Notification, io: Io): Promise<Report> {
  const [{ partsOf }, { createNotificationLog }] = await Promise.all([
    import('../notifications/notification.ts'),
    import('../notifications/notification-log.ts'),
  ])
  const log = createNotificationLog(db)
  const parts = partsOf(notification)
  const report: Report = { dryRun: false, notifications: [], recipients: 0, unknownUsers: [] }
  const progress = progressBar(io.stderr, notification.toUsers.length)
  let done = 0
  try {
    for (const part of parts) {
      if (parts.length > 1) progress.show(done)
      const { unknownUsers, ...accepted } = await log.append(part)
      report.notifications.push(accepted)
      report.recipients += accepted.recipients
      report.unknownUsers.push(...unknownUsers)
      done += part.toUsers.length
    }
  } catch (error) {
    if (!isUnavailable(error)) throw error
    const again = `with --id ${notification.id} the same command sends what is missing, and nothing twice`
    throw new Error(`${done} of ${notification.toUsers.length} users: ${oneLine(error)}; ${again}`, { cause: error })
  } finally {
    progress.clear()
  }
  return report
}

async function dryRun(db: Database, notification: Notification): Promise<Report> {
  const [{ partsOf }, { unknownUsersOf }] = await Promise.all([
    import('../notifications/notification.ts'),
    import('../notifications/notification-log.ts'),
  ])
  const report: Report = { dryRun: true, notifications: [], recipients: 0, unknownUsers: [] }
  for (const { id, toUsers } of partsOf(notification)) {
    const unknown = await unknownUsersOf(db, toUsers)
    const recipients = toUsers.length - unknown.length
    report.notifications.push({ id, seq: null, recipients, repeated: false })
    report.recipients += recipients
    report.unknownUsers.push(...unknown)
  }
  return report
}

function print({ dryRun: isDryRun, notifications, unknownUsers }: Report, io: Io): void {
  for (const { id, seq, recipients, repeated } of notifications) {
    const whom = `${recipients} ${recipients === 1 ? 'user' : 'users'}`
    if (isDryRun) writeLine(io.stdout, `would be sent to ${whom}`)
    else if (seq !== null) writeLine(io.stdout, `seq ${seq}: ${repeated ? 'sent before' : 'sent'} to ${whom}, id ${id}`)
  }
  const named = unknownUsers.slice(0, NAMED_UNKNOWN)
  for (const user of named) writeLine(io.stderr, `unknown user: ${user}`)
  const more = unknownUsers.length - named.length
  if (more > 0) writeLine(io.stderr, `and ${more} more unknown users; --json names them`)
}
