/** The HTTP server: the order of its middleware, its listener, and how it ends. */
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import cors from '@koa/cors'
import type Router from '@koa/router'
import Koa, { type Middleware } from 'koa'
import type { Logger } from '../observability/logger.ts'
import { invalid } from '../shared/app-error.ts'
import { responseOf, type State } from './context.ts'
import { allowedMethods, dispatch } from './dispatch.ts'
import { refuseBroken, refuseUnknown, renderErrors } from './errors.ts'
import { serveByTurns } from './first-requests.ts'
import { limitPipelining } from './pipelining.ts'
import { logRequests, type RequestObserver } from './request-log.ts'
import { Response } from './response.ts'

export type HttpServer = {
  address: { host: string; port: number }
  /** Accepts no more connections; what runs is finished, what is idle is closed. */
  close(deadlineMs: number): Promise<void>
}

/** So that a token over its own limit is told so, and not cut off. */
const MAX_HEADER_BYTES = 64 * 1024
/** Above what any answer takes. Without it an answer that nobody reads would stay in memory for as long as its client likes. */
const STALLED_MS = 60_000

export function createKoa(
  router: Router<State>,
  corsOrigins: string[],
  logger: Logger,
  observe: RequestObserver,
): Koa<State> {
  const koa = new Koa<State>()
  // Everything is rendered and logged below; what is left is a client that went away while a body was streamed to it.
  koa.on('error', (error) => logger.debug({ err: error }, 'a response was cut off'))
  koa.use(logRequests(logger, observe))
  koa.use(crossOrigin(corsOrigins))
  koa.use(renderErrors(logger))
  koa.use(checkHead)
  koa.use(dispatch(router))
  koa.use(refuseUnknown((path) => allowedMethods(router, path)))
  return koa
}

/** What comes from no page of another origin, as from a backend or an app, only has to be kept apart in caches. */
function crossOrigin(origins: string[]): Middleware<State> {
  const answer = cors({
    origin: (ctx) => (origins.includes(ctx.get('Origin')) ? ctx.get('Origin') : ''),
    allowMethods: ['GET', 'HEAD', 'POST', 'DELETE'],
    allowHeaders: ['Authorization', 'Content-Type', 'Last-Event-ID', 'X-Request-Id'],
    exposeHeaders: ['Link', 'Retry-After', 'WWW-Authenticate', 'X-Request-Id'],
    maxAge: 600,
  })
  return (ctx, next) => {
    if (ctx.req.headers.origin !== undefined) return answer(ctx, next)
    responseOf(ctx).addCommon('Vary', 'Origin')
    return next()
  }
}

/**
 * RFC 9112, sections 3.2 and 6.1. Node would refuse a missing Host in a form of its own, take the first of two, and
 * read any coding that ends in chunks as if it were no other.
 */
const checkHead: Middleware<State> = ({ req }, next) => {
  const { host, 'transfer-encoding': coding } = req.headers
  if (host === undefined && req.httpVersion === '1.1') throw invalid('Host: is required')
  if (host?.includes(', ')) throw invalid('Host: must be given once')
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    throw invalid('Transfer-Encoding: only chunked is understood')
  return next()
}

/**
 * @param stalledMs a connection with a request on which nothing moves for so long is closed
 * @throws Error where the address is taken or not this machine's
 */
export async function listen(koa: Koa<State>, host: string, port: number, stalledMs = STALLED_MS): Promise<HttpServer> {
  let isEnding = false
  /** Says, once the server ends, that its connection ends too, so that nobody asks again on it. */
  class EndingResponse<Request extends IncomingMessage> extends Response<Request> {
    override writeHead(status: number, ...more: unknown[]): this {
      if (isEnding) this.shouldKeepAlive = false
      return super.writeHead(status, ...(more as []))
    }
  }
  const server = createServer({
    keepAliveTimeout: 65_000,
    headersTimeout: 20_000,
    requestTimeout: 60_000,
    maxHeaderSize: MAX_HEADER_BYTES,
    requireHostHeader: false,
    // Otherwise the first of two Authorization headers would be the one that counts.
    joinDuplicateHeaders: true,
    ServerResponse: EndingResponse,
  })
  server.timeout = stalledMs
  const closeSilent = serveByTurns(server, limitPipelining(koa.callback()))
  // None is known but 100-continue; it may be passed over (RFC 9110, section 10.1.1).
  server.on('checkExpectation', (request, response) => server.emit('request', request, response))
  server.on('clientError', refuseBroken)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, backlog: 4_096 }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  const address = server.address() as AddressInfo
  return {
    address: { host, port: address.port },
    close: (deadlineMs) => {
      isEnding = true
      return close(server, closeSilent, deadlineMs)
    },
  }
}

async function close(server: Server, closeSilent: () => void, deadlineMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  const closeIdle = () => {
    server.closeIdleConnections()
    // For Node they are busy: it waits for what they ask first.
    closeSilent()
  }
  const idle = setInterval(closeIdle, 100)
  const deadline = setTimeout(() => server.closeAllConnections(), deadlineMs)
  server.closeIdleConnections()
  await closed
  clearInterval(idle)
  clearTimeout(deadline)
}
