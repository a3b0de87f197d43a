/** What a browser's EventSource is answered where there is no stream for now: it gives up for good at any answer but 200. */
import type { Authenticate } from '../http/authenticate.ts'
import type { RouteContext } from '../http/context.ts'
import { isUnavailable } from '../shared/app-error.ts'
import { retryFrame } from './event-frames.ts'

/** Within the time that a ticket may wait for its first stream. */
const RETRY_MS = { from: 2_000, to: 6_000 }

/** A stream by ticket that is not available is one that ends at once, and says when to try again. */
export function comeBack(authenticate: Authenticate, observe: { streamFailed(error: unknown): void }): Authenticate {
  return (handler) => {
    const open = authenticate(handler)
    return async (ctx) => {
      try {
        await open(ctx)
      } catch (error) {
        if (!isUnavailable(error) || !isByTicket(ctx)) throw error
        observe.streamFailed(error)
        ctx.status = 200
        ctx.set('Cache-Control', 'no-store')
        // Where several listen at one address, the next attempt may get to another one.
        ctx.set('Connection', 'close')
        ctx.type = 'text/event-stream'
        ctx.body = retryFrame(RETRY_MS)
      }
    }
  }
}

function isByTicket(ctx: RouteContext): boolean {
  return ctx.method === 'GET' && typeof ctx.query['ticket'] === 'string' && ctx.req.headers.authorization === undefined
}
