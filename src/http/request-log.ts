/** A request's id, its line in the log, and its place in the metrics; never its query, headers or body. */
import { randomUUID } from 'node:crypto'
import type { Middleware } from 'koa'
import type { Logger } from '../observability/logger.ts'
import type { State } from './context.ts'

export type RequestObserver = {
  requestFinished(method: string, route: string, status: number, milliseconds: number): void
}

const REQUEST_ID = /^[\w.:+/=-]{1,128}$/

export function logRequests(logger: Logger, observe: RequestObserver): Middleware<State> {
  return async (ctx, next) => {
    const started = performance.now()
    const given = ctx.get('X-Request-Id')
    const requestId = REQUEST_ID.test(given) ? given : randomUUID()
    ctx.state.requestId = requestId
    ctx.set('X-Request-Id', requestId)
    ctx.res.once('close', () => {
      const milliseconds = performance.now() - started
      const route = (ctx as { _matchedRoute?: unknown })._matchedRoute
      observe.requestFinished(ctx.method, typeof route === 'string' ? route : 'none', ctx.res.statusCode, milliseconds)
      if (!logger.isLevelEnabled('info')) return
      logger.info(
        {
          requestId,
          method: ctx.method,
          path: ctx.path,
          status: ctx.res.statusCode,
          milliseconds: Math.round(milliseconds * 10) / 10,
          userId: ctx.state.user?.id,
        },
        'request',
      )
    })
    await next()
  }
}
