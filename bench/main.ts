/** `npm run bench`: runs benches, one after the other, and reports what they measured. */
import { mkdir, writeFile } from 'node:fs/promises'
import { ensureBuilt } from '../bin/build.js'
import type { Bench } from './suite/bench.ts'
import { BENCHES } from './suite/benches.ts'
import { type Command, helpText, readCommandLine, UsageError } from './suite/command-line.ts'
import { describeMachine } from './suite/machine.ts'
import { writePerformancePage } from './suite/performance-page.ts'
import type { Result } from './suite/result.ts'
import { textReport } from './suite/text-report.ts'
import { judge } from './suite/verdict.ts'
import { describeProfiles } from './support/cpu-profile.ts'

type Run = Exclude<Command, { help: true }>

// Children end with this process, also where somebody stops it: see support/child-process.ts.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))

const print = (text: string) => process.stdout.write(`${text}\n`)

process.exitCode = await main()

async function main(): Promise<number> {
  try {
    const command = readCommandLine(process.argv.slice(2), BENCHES)
    if (command.help) {
      print(helpText(BENCHES))
      return 0
    }
    return await runAll(command)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`${error.message}\nnpm run bench -- --help says more\n`)
    return 2
  }
}

async function runAll(command: Run): Promise<number> {
  await ensureBuilt()
  const results: Result[] = []
  const failed: string[] = []
  for (const bench of command.benches) {
    print(`\n== ${bench.name}: ${bench.about}`)
    try {
      results.push(await runOne(bench, command))
      // After each: a long run that is cut short has not measured in vain.
      if (command.json) await writeFile(command.json, `${JSON.stringify(results, null, 1)}\n`)
    } catch (error) {
      failed.push(bench.name)
      process.stderr.write(`${bench.name} failed: ${(error as Error).stack}\n`)
    }
  }
  if (command.writeDocs) print(`written: ${(await writePerformancePage(results)).join(', ')}`)
  print(summary(results, failed, command.small))
  return failed.length === 0 ? 0 : 1
}

async function runOne(bench: Bench, { settings, small, profile }: Run): Promise<Result> {
  const machine = describeMachine()
  const chosen = settings.get(bench.name) ?? { values: {}, asIs: true }
  const profiles = profile && `${profile}/${bench.name}`
  if (profiles) await mkdir(profiles, { recursive: true })
  const started = performance.now()
  const outcome = await bench.run({
    settings: chosen.values,
    say: (line) => print(`  ${line}`),
    profiling: profiles ? ['--cpu-prof', `--cpu-prof-dir=${profiles}`] : [],
  })
  const seconds = Math.round((performance.now() - started) / 1_000)
  const targets = judge(bench, outcome, chosen.asIs)
  print(textReport(outcome, targets, !small))
  if (profiles) print(await describeProfiles(profiles))
  print(`${bench.name} took ${seconds} s`)
  const { tables, charts, skipped } = outcome
  return {
    bench: bench.name,
    about: bench.about,
    small,
    machine,
    seconds,
    settings: chosen.values,
    targets,
    tables,
    ...(charts && { charts }),
    ...(skipped && { skipped }),
  }
}

function summary(results: Result[], failed: string[], small: boolean): string {
  const targets = results.flatMap((result) => result.targets)
  const missed = targets.filter(({ met }) => met === false)
  const skipped = targets.filter((target) => target.skipped !== undefined)
  const verdict = small
    ? 'small: no target judged'
    : `${targets.length - missed.length - skipped.length} targets met, ${missed.length} missed, ${skipped.length} skipped`
  return [
    `\n${results.length} benches ran, ${failed.length} failed${failed.length > 0 ? ` (${failed.join(', ')})` : ''}; ${verdict}`,
    ...(small ? [] : missed.map(({ what, against }) => `missed: ${what}${against ? ` against ${against}` : ''}`)),
  ].join('\n')
}
