/** The one renderer of refusals: every error becomes the contract's object, and only the unexpected is logged. */
import { STATUS_CODES } from 'node:http'
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
      if (refusal.status >= 500)
        logger.error(
          { err: error, requestId: ctx.state.requestId, method: ctx.method, path: ctx.path },
          refusal.message,
        )
      else if (refusal.cause)
        logger.debug({ err: refusal.cause, requestId: ctx.state.requestId, path: ctx.path }, refusal.message)
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

function render(ctx: Context, error: AppError): void {
  ctx.status = error.status
  if (error.code === 'UNAUTHENTICATED') ctx.set('WWW-Authenticate', 'Bearer')
  if (error.retryAfter !== undefined) ctx.set('Retry-After', String(error.retryAfter))
  ctx.set('Cache-Control', 'no-store')
  ctx.body = {
    timestamp: new Date().toISOString(),
    status: error.status,
    error: STATUS_CODES[error.status],
    message: error.message,
    path: ctx.path,
    errorCode: error.code,
  }
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
