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
    const result = await runChaos(options, (state) => {
      endProgress = reportProgress(state, progress)
    })
    endProgress()
    process.stdout.write(options.json ? `${resultJson(result)}\n` : resultTable(result))
    return isClean(result) ? 0 : 1
  } finally {
    endProgress()
  }
}

try {
  const options = parseOptions(process.argv.slice(2))
  if (options === 'help') process.stdout.write(USAGE)
  else process.exitCode = await main(options)
} catch (error) {
  const isUsage = error instanceof UsageError
  process.stderr.write(isUsage ? `${error.message}\n\n${USAGE}` : `${(error as Error).stack}\n`)
  process.exitCode = isUsage ? 2 : 1
}
