/** Error lines of nodes' logs, counted by message. */
import type { LogLine } from '../support/node.ts'

/** As pino numbers them: 50 error, 60 fatal. */
const IS_ERROR = /"level":[56]0\b/

/** @param log the last line may be cut off */
export function countErrors(log: string, counts: Map<string, number>): void {
  for (const line of log.split('\n').slice(0, -1)) if (IS_ERROR.test(line)) add(counts, messageOf(line), 1)
}

export function sumOf(all: readonly Map<string, number>[]): Map<string, number> {
  const sum = new Map<string, number>()
  for (const counts of all) for (const [message, count] of counts) add(sum, message, count)
  return sum
}

/** With what was thrown: many errors share the words of who caught them. Numbers would make each of them another. */
function messageOf(line: string): string {
  const { msg, err } = JSON.parse(line) as LogLine & { err?: { message?: string } }
  const [cause = ''] = (err?.message ?? '').replace(/\d+/g, '…').split('\n', 1)
  return cause === '' ? msg : `${msg} (${cause})`
}

function add(counts: Map<string, number>, message: string, count: number): void {
  counts.set(message, (counts.get(message) ?? 0) + count)
}
