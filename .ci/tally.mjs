// Reads Vitest's JSON report: prints "<passed> <failed>", and appends what failed, with the first lines of why, to a file.
// Usage: node tally.mjs REPORT FAILURES
import { appendFileSync, readFileSync } from 'node:fs'
import { relative } from 'node:path'

const REASON_LINES = 8

const [report = '', failures = ''] = process.argv.slice(2)
const { numPassedTests, numFailedTests, numFailedTestSuites, testResults } = JSON.parse(readFileSync(report, 'utf8'))

for (const { name, status, message, assertionResults } of testResults) {
  const file = relative(process.cwd(), name)
  const failed = assertionResults.filter((test) => test.status === 'failed')
  for (const { fullName, failureMessages } of failed) note(`${file}: ${fullName}`, failureMessages.join('\n'))
  if (status === 'failed' && failed.length === 0) note(file, message)
}
process.stdout.write(`${numPassedTests} ${numFailedTests || numFailedTestSuites}\n`)

function note(title, reason) {
  const lines = reason.split('\n').slice(0, REASON_LINES)
  appendFileSync(failures, `FAILED ${title}\n${lines.map((line) => `  ${line}\n`).join('')}`)
}
