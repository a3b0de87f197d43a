/** A request's id, its line in the log, and its place in the metrics; never its query, headers or body. */
import { randomUUID } from 'node:crypto'
import type { Middleware, ParameterizedContext } from 'koa'
import type { Logger } from '../observability/logger.ts'
import { responseOf, type State } from './context.ts'
import { routeOf } from './dispatch.ts'

export type RequestObserver = {
  requestFinished(method: string, route: string, status: number, milliseconds: number): void
}

type Finished = {
  requestId: string
  method: string
  route: string
  path: string
  status: number
  userId: string | undefined
  started: number
}

const REQUEST_ID = /^[\w.:+/=-]{1,128}$/

export function logRequests(logger: Logger, observe: RequestObserver): Middleware<State> {
  // None of its fields is a secret, and looking for some costs as much as writing the line.
  const lines = logger.child({}, { redact: [] })
  const report = ({ requestId, method, route, path, status, userId, started }: Finished): void => {
    const elapsed = performance.now() - started
    observe.requestFinished(method, route, status, elapsed)
    if (!lines.isLevelEnabled('info')) return
    const milliseconds = Math.round(elapsed * 10) / 10
    lines.info({ requestId, method, path, status, userId, milliseconds }, 'request')
  }
  return async (ctx, next) => {
    const started = performance.now()
    const given = ctx.get('X-Request-Id')
    const requestId = REQUEST_ID.test(given) ? given : randomUUID()
    ctx.state.requestId = requestId
    responseOf(ctx).addCommon('X-Request-Id', requestId)
    const finish = () => report(finished(ctx, started))
    ctx.res.on('close', finish)
    ctx.state.finishLater = () => {
      ctx.res.off('close', finish)
      return later(report, finished(ctx, started))
    }
    await next()
  }
}

/** By itself, so that what it returns holds on to nothing but this: a stream must not keep its request in memory. */
function later<T>(report: (what: T) => void, what: T): () => void {
  return () => report(what)
}

function finished(ctx: ParameterizedContext<State>, started: number): Finished {
  const { requestId, user } = ctx.state
  return {
    requestId,
    method: ctx.method,
    route: routeOf(ctx),
    path: ctx.path,
    status: ctx.res.statusCode,
    userId: user?.id,
    started,
  }
}
