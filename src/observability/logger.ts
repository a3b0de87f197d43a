/** The log: one JSON line an event, without tokens, passwords and message bodies. */
import { type DestinationStream, type Logger, pino } from 'pino'
import type { LogLevel } from '../config/config.ts'
import { openLogOutput } from './log-output.ts'

export type { Logger }

/** A wildcard (`*.token`) makes every line eight times as dear as these exact paths. */
const SECRETS = [
  'authorization',
  'cookie',
  'password',
  'token',
  'accessToken',
  'access_token',
  'ticket',
  'secret',
  'db_password',
  'msgBody',
]
const PARENTS = ['', 'headers.', 'req.headers.', 'body.', 'config.']

const redact = {
  paths: PARENTS.flatMap((parent) => SECRETS.map((name) => `${parent}${name}`)),
  censor: '[redacted]',
}

/**
 * Of an error only these: drivers hang their connection on it, with its keys and whatever statement it was running.
 * Message and stack tell of its causes, too.
 */
function errorFields(error: unknown) {
  if (!(error instanceof Error)) return { message: String(error) }
  const { type, message, stack } = pino.stdSerializers.err(error)
  return { type, message, stack, ...('code' in error && { code: error.code }) }
}

/** Writes to standard output unless given another destination. */
export function createLogger(level: LogLevel, destination: DestinationStream = openLogOutput(1)): Logger {
  return pino(
    { level, redact, timestamp: pino.stdTimeFunctions.isoTime, serializers: { err: errorFields } },
    destination,
  )
}
