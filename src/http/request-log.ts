/** A request's id, its line in the log, and its place in the metrics; never its query, headers or body. */
import { randomUUID } from 'node:crypto'
import type { Middleware, ParameterizedContext } from 'koa'
import type { Logger } from '../observability/logger.ts'
import { type OpenRequest, responseOf, type State } from './context.ts'
import { routeOf } from './dispatch.ts'

export type RequestObserver = {
  requestFinished(method: string, route: string, status: number, milliseconds: number): void
}

const REQUEST_ID = /^[\w.:+/=-]{1,128}$/

export function logRequests(logger: Logger, observe: RequestObserver): Middleware<State> {
  // None of its fields is a secret, and looking for some costs as much as writing the line.
  const lines = logger.child({}, { redact: [] })
  const report = ({ requestId, method, route, path, status, userId, started }: Answered): void => {
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
    const finish = () => new Answered(ctx, started, report).finish()
    ctx.res.on('close', finish)
    ctx.state.finishLater = () => {
      ctx.res.off('close', finish)
      return new Answered(ctx, started, report)
    }
    await next()
  }
}

/** It holds on to nothing but what is reported: a stream must not keep its request in memory. */
class Answered implements OpenRequest {
  readonly requestId: string
  readonly method: string
  readonly route: string
  readonly path: string
  readonly status: number
  readonly userId: string | undefined
  readonly started: number
  readonly #report: (request: Answered) => void

  constructor(ctx: ParameterizedContext<State>, started: number, report: (request: Answered) => void) {
    const { requestId, user } = ctx.state
    this.requestId = requestId
    this.method = ctx.method
    this.route = routeOf(ctx)
    this.path = ctx.path
    this.status = ctx.res.statusCode
    this.userId = user?.id
    this.started = started
    this.#report = report
  }

  finish(): void {
    this.#report(this)
  }
}
