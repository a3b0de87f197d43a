/** The one form that every refusal has, judged as a whole. */
import { STATUS_CODES } from 'node:http'
import { expect } from 'vitest'
import type { Answer } from './person.ts'

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

export type Refusal = keyof typeof STATUS

/** @param message the whole message, or what it has to contain */
export function expectRefusal(answer: Answer, errorCode: Refusal, message: string | RegExp = /./): void {
  const status = STATUS[errorCode]
  expect({ status: answer.status, body: answer.body }).toEqual({
    status,
    body: {
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      status,
      error: STATUS_CODES[status],
      message: typeof message === 'string' ? message : expect.stringMatching(message),
      path: expect.stringMatching(/^\/api\/[^?]*$/),
      errorCode,
    },
  })
  expect(answer.headers.get('content-type')).toMatch(/^application\/json/)
}

/** Every refused token gets this one answer, whatever is wrong with it. */
export function expectUnauthenticated(answer: Answer): void {
  expectRefusal(answer, 'UNAUTHENTICATED', 'A valid bearer token is required.')
  expect(answer.headers.get('www-authenticate')).toBe('Bearer')
}

/** The token's key is not known and the issuer cannot be asked: when to try again, and nothing of where the issuer is. */
export function expectTokenUncheckable(answer: Answer): void {
  expectRefusal(answer, 'SERVICE_UNAVAILABLE', 'The token cannot be checked at the moment.')
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
}
