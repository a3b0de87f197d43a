/** The one renderer of refusals: every error becomes the contract's object, and only the unexpected is logged. */
import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { HttpError, type Middleware } from 'koa'
import type { Logger } from '../observability/logger.ts'
import { AppError, type ErrorCode } from '../shared/app-error.ts'
import type { Context, State } from './context.ts'

export function renderErrors(logger: Logger): Middleware<State> {
  return async (ctx, next) => {
    try {
      await next()
    } catch (error) {
      if (ctx.res.headersSent || !ctx.writable) return
      const refusal = toAppError(error)
      log(ctx, logger, refusal)
      render(ctx, refusal)
    }
  }
}

/** Paths and methods that nobody serves. */
export function refuseUnknown(allowedMethods: (path: string) => string[]): Middleware<State> {
  return (ctx) => {
    const allowed = allowedMethods(ctx.path)
    if (allowed.length === 0) throw new AppError('CONTENT_NOT_FOUND', 'There is nothing at this path.')
    ctx.set('Allow', allowed.join(', '))
    if (ctx.method === 'OPTIONS') {
      ctx.status = 204
      return
    }
    throw new AppError('METHOD_NOT_ALLOWED', `Use ${allowed.filter((method) => method !== 'HEAD').join(' or ')} here.`)
  }
}

/** What is unexpected with its stack; a store that is down in one line, for it fails every call meanwhile. */
function log({ state, method, path }: Context, logger: Logger, refusal: AppError): void {
  const about = { requestId: state.requestId, method, path }
  if (refusal.code === 'SERVICE_UNAVAILABLE')
    logger.warn({ ...about, reason: reasonOf(refusal.cause) }, refusal.message)
  else if (refusal.status >= 500) logger.error({ ...about, err: refusal.cause ?? refusal }, refusal.message)
  else if (refusal.cause) logger.debug({ ...about, err: refusal.cause }, refusal.message)
}

function reasonOf(cause: unknown): string | undefined {
  return cause instanceof Error ? cause.message || cause.name : undefined
}

function render(ctx: Context, error: AppError): void {
  ctx.status = error.status
  if (error.code === 'UNAUTHENTICATED') ctx.set('WWW-Authenticate', 'Bearer')
  if (error.retryAfter !== undefined) ctx.set('Retry-After', String(error.retryAfter))
  ctx.set('Cache-Control', 'no-store')
  ctx.body = refusalBody(error.status, error.code, error.message, ctx.path)
}

function refusalBody(status: number, errorCode: ErrorCode, message: string, path: string) {
  return { timestamp: new Date().toISOString(), status, error: STATUS_CODES[status], message, path, errorCode }
}

const BROKEN: Record<string, [status: number, code: ErrorCode, message: string]> = {
  HPE_HEADER_OVERFLOW: [431, 'PAYLOAD_TOO_LARGE', 'The headers of the request are too long.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'VALIDATION_ERROR', 'The request did not arrive in time.'],
}

/** So long a client that was refused may take to close its side; it may have more to send first. */
const ENDING_MS = 1_000

/** Connections that break off behind an answer that is still to be sent. */
const breakingOff = new WeakSet<Duplex>()

/**
 * For what is no HTTP request at all, or one that Node refuses before Koa sees it; its path is not known. What was asked
 * before it on the same connection is answered first.
 */
export function refuseBroken(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  if (breakingOff.has(socket)) return
  const answer = answerBefore(socket)
  if (!answer) {
    endWithRefusal(error, socket)
    return
  }
  breakingOff.add(socket)
  answer.once('finish', () => {
    breakingOff.delete(socket)
    // It does not go on after an answer with `Connection: close`.
    if (socket.writable) refuseBroken(error, socket)
  })
}

/** That to a request which came whole, or that has begun. */
function answerBefore(socket: Duplex): ServerResponse | undefined {
  const { _httpMessage: answer } = socket as Duplex & { _httpMessage?: ServerResponse | null }
  return answer && (answer.headersSent || answer.req.complete) ? answer : undefined
}

function endWithRefusal(error: NodeJS.ErrnoException, socket: Duplex): void {
  const [status, code, message] = BROKEN[error.code ?? ''] ?? [400, 'VALIDATION_ERROR', 'This is no HTTP request.']
  const body = JSON.stringify(refusalBody(status, code, message, ''))
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/json; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    // Node gives a connection that it refused no more time-outs: a client that leaves it open would keep it for ever.
    () => setTimeout(() => socket.destroy(), ENDING_MS).unref(),
  )
}

const CODES = new Map<number, ErrorCode>([
  [400, 'VALIDATION_ERROR'],
  [404, 'CONTENT_NOT_FOUND'],
  [413, 'PAYLOAD_TOO_LARGE'],
  [415, 'UNSUPPORTED_MEDIA_TYPE'],
])

function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error
  if (error instanceof URIError) return new AppError('VALIDATION_ERROR', 'The path is not properly encoded.')
  const code = error instanceof HttpError && CODES.get(error.status)
  if (code) return new AppError(code, error.message, { cause: error })
  return new AppError('UNEXPECTED_ERROR', 'Something went wrong here; it was noted.', { cause: error })
}
