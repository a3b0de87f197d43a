/** The events by REST, and the stream of them. */
import { type Handler, type RouteContext, respondJson, responseOf } from '../http/context.ts'
import type { RateLimits } from '../http/rate-limits.ts'
import { requireTimestamp } from '../http/validate.ts'
import type { AuthorisedStreams } from '../streams/authorised-streams.ts'
import type { StreamOpener } from '../streams/open-stream.ts'
import { openSseStream, ownsConnection } from '../streams/sse-stream.ts'
import type { StreamTickets } from '../streams/stream-tickets.ts'
import type { NotificationService, Since } from './notification-service.ts'

export type NotificationParts = {
  notifications: NotificationService
  opener: StreamOpener
  authorised: AuthorisedStreams
  tickets: StreamTickets
  observe: { streamFailed(error: unknown): void }
}

export function notificationHandlers(
  { notifications, opener, authorised, tickets, observe }: NotificationParts,
  limits: RateLimits,
) {
  return {
    cursor: async (ctx) => respondJson(ctx, JSON.stringify({ lastEventId: await notifications.cursor() })),
    since: async (ctx) => {
      const { json, next } = await notifications.since(ctx.state.user, sinceOf(ctx))
      if (next !== undefined) ctx.set('Link', `<${ctx.path}?lastEventId=${next}>; rel="next"`)
      ctx.set('Cache-Control', 'no-store')
      respondJson(ctx, json)
    },
    stream: async (ctx) => {
      if (ctx.method === 'HEAD') {
        ctx.type = 'text/event-stream'
        ctx.status = 200
        return
      }
      if (!(await isAdmitted(ctx, opener, tickets))) return
      ctx.respond = false
      const stream = openSseStream(responseOf(ctx), ctx.state.user.id, ctx.state.finishLater)
      authorised.admit(stream, ctx.state.grant)
      // The connection is the stream's: what fails from here on can only end the stream, and its client resumes.
      await opener.open(stream, lastEventIdOf(ctx)).catch((error: unknown) => {
        observe.streamFailed(error)
        stream.destroy()
      })
    },
    ticket: async (ctx) => {
      limits.ticket(ctx.state.user.id)
      const ticket = await tickets.issue(ctx.state.token)
      ctx.set('Cache-Control', 'no-store')
      respondJson(ctx, JSON.stringify(ticket))
    },
  } satisfies Record<string, Handler>
}

/** Whether there is somebody to stream to. A ticket that opened nothing may be used again. */
async function isAdmitted(ctx: RouteContext, opener: StreamOpener, tickets: StreamTickets): Promise<boolean> {
  const { user, grant } = ctx.state
  let admitted = false
  try {
    if (!(await ownsConnection(responseOf(ctx)))) return false
    opener.admit(user.id)
    admitted = true
  } finally {
    if (!admitted && grant.ticket) await tickets.giveBack(grant.ticket)
  }
  return true
}

/** The header wins: it is what a reconnecting EventSource sends, with the query of its first request. */
function lastEventIdOf(ctx: RouteContext): string | undefined {
  const query = ctx.query['lastEventId']
  return ctx.get('Last-Event-ID') || (Array.isArray(query) ? query[0] : query) || undefined
}

function sinceOf(ctx: RouteContext): Since {
  const lastEventId = lastEventIdOf(ctx)
  return lastEventId ? { lastEventId } : { time: requireTimestamp(ctx.query['timestamp'], 'timestamp') }
}
