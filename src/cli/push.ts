/** `ism push`: what becomes of pushes that were given up. */
import type { Command } from 'commander'
import type { Config } from '../config/config.ts'
import type { Database } from '../infra/postgres.ts'
import { CONFIG_OPTION, configurationOf } from './configuration.ts'
import { type Io, writeLine } from './io.ts'
import { progressBar } from './progress-bar.ts'
import { addSubcommand } from './subcommand.ts'
import { withDatabase } from './with-database.ts'

type PushOptions = { config?: string; dryRun?: boolean; json?: boolean }

type TargetReport = {
  target: string
  delivered: number
  /** Still given up. */
  left: number
  refused: { seq: number; reason: string }[]
  error: string | null
}

/** So many are named on a terminal; --json has all of them. */
const NAMED_REFUSED = 10

export function addPush(program: Command, io: Io): void {
  const push = program.command('push').summary('deliver or discard pushes that were given up')
  addSubcommand(push, 'retry', {
    summary: 'deliver pushes that were given up',
    description:
      'Delivers now what was refused twenty times or became too old, to where the configuration says; ISM need not run. ' +
      'What is delivered is forgotten, what still fails stays. `ism status` counts them.',
    examples: [
      ['ism push retry --dry-run', 'says how many there are'],
      ['ism push retry', 'delivers them'],
      ['ism push retry --json', 'for a program to read, with the reasons'],
    ],
    exitCodes: ['none is left', 'some are left: refused, not answered, or not configured', 'wrong usage'],
  })
    .option(...CONFIG_OPTION)
    .option('--dry-run', 'deliver nothing, only count')
    .option('--json', 'answer in JSON')
    .action((options: PushOptions) => retry(options, io))
  addSubcommand(push, 'discard', {
    summary: 'forget pushes that were given up',
    description: 'Forgets every push that was given up, for good. `ism push retry` delivers them instead.',
    examples: [
      ['ism push discard --dry-run', 'says how many there are'],
      ['ism push discard', 'forgets them'],
    ],
    exitCodes: ['forgotten', 'the configuration or the database refused', 'wrong usage'],
  })
    .option(...CONFIG_OPTION)
    .option('--dry-run', 'forget nothing, only count')
    .option('--json', 'answer in JSON')
    .action((options: PushOptions) => discard(options, io))
}

async function retry({ config: file, dryRun, json }: PushOptions, io: Io): Promise<void> {
  const config = await configurationOf(io, file)
  const reports = await withDatabase(config, async (db) =>
    dryRun ? (await deadPushes(db)).map(({ target, count }) => untried(target, count)) : retryAll(db, config, io),
  )
  if (json) writeLine(io.stdout, JSON.stringify({ dryRun: dryRun === true, targets: reports }))
  else print(reports, dryRun === true, io)
  const left = reports.reduce((sum, report) => sum + report.left, 0)
  if (left > 0 && !dryRun) throw new Error(`${left} ${left === 1 ? 'push is' : 'pushes are'} left`)
}

async function retryAll(db: Database, config: Config, io: Io): Promise<TargetReport[]> {
  const [{ openPushTargets }, { redeliver }] = await Promise.all([
    import('../stores.ts'),
    import('../push/dead-pushes.ts'),
  ])
  const dead = await deadPushes(db)
  const targets = await openPushTargets(config)
  const progress = progressBar(
    io.stderr,
    dead.reduce((sum, { count }) => sum + count, 0),
  )
  let done = 0
  const reports: TargetReport[] = []
  try {
    for (const { target: name, count } of dead) {
      const target = targets.find((each) => each.name === name)
      if (!target) {
        reports.push({ ...untried(name, count), error: 'is not configured' })
        continue
      }
      const { delivered, refused, unanswered } = await redeliver(db, target, (tried) => {
        done += tried
        progress.show(done)
      })
      reports.push({ target: name, delivered, refused, left: await countOf(db, name), error: unanswered ?? null })
    }
  } finally {
    progress.clear()
    await Promise.all(targets.map((target) => target.close()))
  }
  return reports
}

async function discard({ config: file, dryRun, json }: PushOptions, io: Io): Promise<void> {
  const { discardDeadDeliveries } = await import('../deliveries/dead-delivery-repository.ts')
  const discarded = await withDatabase(await configurationOf(io, file), async (db) => {
    const dead = await deadPushes(db)
    if (!dryRun) for (const { target } of dead) await discardDeadDeliveries(db, target)
    return dead
  })
  if (json) {
    writeLine(io.stdout, JSON.stringify({ dryRun: dryRun === true, targets: discarded }))
    return
  }
  for (const { target, count } of discarded)
    writeLine(io.stdout, `${target}: ${count} ${dryRun ? 'would be forgotten' : 'forgotten'}`)
  if (discarded.length === 0) writeLine(io.stdout, 'no push was given up')
}

async function deadPushes(db: Database): Promise<{ target: string; count: number }[]> {
  const { countDeadDeliveries } = await import('../deliveries/dead-delivery-repository.ts')
  return (await countDeadDeliveries(db)).filter(({ target }) => target.startsWith('push:'))
}

const countOf = async (db: Database, name: string) =>
  (await deadPushes(db)).find(({ target }) => target === name)?.count ?? 0

function untried(target: string, count: number): TargetReport {
  return { target, delivered: 0, left: count, refused: [], error: null }
}

function print(reports: TargetReport[], isDryRun: boolean, io: Io): void {
  for (const { target, delivered, left, refused, error } of reports) {
    const what = isDryRun ? `${left} would be tried` : `${delivered} delivered, ${left} left`
    writeLine(io.stdout, `${target}: ${what}${error === null ? '' : ` (${error})`}`)
    for (const { seq, reason } of refused.slice(0, NAMED_REFUSED))
      writeLine(io.stderr, `refused: seq ${seq}: ${reason}`)
    const more = refused.length - NAMED_REFUSED
    if (more > 0) writeLine(io.stderr, `and ${more} more were refused; --json names them`)
  }
  if (reports.length === 0) writeLine(io.stdout, 'no push was given up')
}
