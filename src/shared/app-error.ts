/** The one error that callers of ISM are meant to see: a closed set of codes, each with its HTTP status. */

const STATUS = {
  VALIDATION_ERROR: 400,
  FILE_PROCESSING_ERROR: 400,
  UNAUTHENTICATED: 401,
  INSUFFICIENT_PERMISSIONS: 403,
  CONTENT_NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  CONFLICT: 409,
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  RATE_LIMITED: 429,
  UNEXPECTED_ERROR: 500,
  SERVICE_UNAVAILABLE: 503,
} as const

export type ErrorCode = keyof typeof STATUS

export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: ErrorCode
  /** Seconds after which the caller may try again; becomes `Retry-After`. */
  readonly retryAfter: number | undefined

  /** `message` is shown to the caller: it never carries a token, SQL or an internal address. */
  constructor(code: ErrorCode, message: string, options: { retryAfter?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.code = code
    this.retryAfter = options.retryAfter
  }

  get status(): number {
    return STATUS[this.code]
  }
}

export const invalid = (message: string) => new AppError('VALIDATION_ERROR', message)
export const forbidden = (message: string) => new AppError('INSUFFICIENT_PERMISSIONS', message)
export const notFound = (message: string) => new AppError('CONTENT_NOT_FOUND', message)
export const conflict = (message: string) => new AppError('CONFLICT', message)
export const unauthenticated = (cause?: unknown) =>
  new AppError('UNAUTHENTICATED', 'A valid bearer token is required.', { cause })
export const unavailable = (message: string, cause?: unknown) =>
  new AppError('SERVICE_UNAVAILABLE', message, { retryAfter: 2, cause })

export const isUnavailable = (error: unknown): boolean =>
  error instanceof AppError && error.code === 'SERVICE_UNAVAILABLE'
