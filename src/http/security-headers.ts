/** Keeps browsers from making more of an answer than the data that it is. */
import type { Middleware } from 'koa'
import type { State } from './context.ts'

/** OWASP, REST Security Cheat Sheet, "Security Headers". Pictures bear some of their own: objects/serve-object.ts. */
const HEADERS = Object.entries({
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'Strict-Transport-Security': 'max-age=31536000; includeSubDomains',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
})

export const securityHeaders: Middleware<State> = ({ res }, next) => {
  for (const [name, value] of HEADERS) res.setHeader(name, value)
  return next()
}
