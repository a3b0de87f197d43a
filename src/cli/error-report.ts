/** Shows an error to whoever typed the command: a line, or a line for each problem of a configuration. */
import { ConfigurationError } from '../config/problem.ts'
import { type TextOutput, writeLine } from './io.ts'

export function reportError(error: unknown, stderr: TextOutput, { debug }: { debug: boolean }): void {
  for (const line of error instanceof ConfigurationError ? error.message.split('\n') : [oneLine(error)]) {
    writeLine(stderr, `ism: ${line}`)
  }
  if (debug && error instanceof Error) writeLine(stderr, stackOf(error))
}

/** Why something failed, in one line. */
export function oneLine(error: unknown): string {
  if (!(error instanceof Error)) return String(error).replace(/\s+/g, ' ')
  // A host with several addresses fails once for each; the message of the whole is empty.
  if (error instanceof AggregateError && error.errors.length > 0) return oneLine(error.errors[0])
  const reason = error.cause instanceof Error ? oneLine(error.cause) : ''
  const message = error.message.trim().replace(/\s+/g, ' ') || error.name
  return reason === '' || message.includes(reason) ? message : `${message.replace(/\.$/, '')}: ${reason}`
}

function stackOf(error: Error): string {
  const stack = error.stack ?? error.message
  return error.cause instanceof Error ? `${stack}\ncaused by ${stackOf(error.cause)}` : stack
}
