/** `npm run chaos`. */
import { type CommandLine, parseOptions, USAGE, UsageError } from './options.ts'
import { isClean, reportProgress, resultJson, resultTable } from './report.ts'
import { runChaos } from './run.ts'

async function main(options: CommandLine): Promise<number> {
  // Standard output is the result's alone, where a program reads it.
  const progress = options.json ? process.stderr : process.stdout
  progress.write(`Chaos with --seed ${options.seed}\n`)
  let endProgress = () => {}
  try {
    const result = await runChaos(options, {
      watch: (state) => {
        endProgress = reportProgress(state, progress)
      },
    })
    endProgress()
    process.stdout.write(options.json ? `${resultJson(result)}\n` : resultTable(result))
    return isClean(result) ? 0 : 1
  } finally {
    endProgress()
  }
}

// What was started ends with this process, but not where a signal ends it.
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => process.exit(1))

try {
  const options = parseOptions(process.argv.slice(2))
  if (options === 'help') process.stdout.write(USAGE)
  else process.exitCode = await main(options)
} catch (error) {
  const isUsage = error instanceof UsageError
  process.stderr.write(isUsage ? `${error.message}\n\n${USAGE}` : `${(error as Error).stack}\n`)
  process.exitCode = isUsage ? 2 : 1
}
