/** Sending a message, and a room's timeline. */
import { type Handler, respondJson } from '../http/context.ts'
import { readJson } from '../http/json-body.ts'
import type { RateLimits } from '../http/rate-limits.ts'
import { requireTimestamp, requireUuid } from '../http/validate.ts'
import { parseNewMessage } from './message-schema.ts'
import type { MessageService } from './message-service.ts'

export function messageHandlers(messages: MessageService, limits: RateLimits) {
  return {
    send: async (ctx) => {
      limits.send(ctx.state.user.id)
      respondJson(ctx, await messages.send(ctx.state.user, parseNewMessage(await readJson(ctx.req))))
    },
    timeline: async (ctx) => {
      const roomId = requireUuid(ctx.params['room_id'], 'room_id')
      const before = requireTimestamp(ctx.query['timestamp'], 'timestamp')
      respondJson(ctx, await messages.timeline(ctx.state.user, roomId, before))
    },
  } satisfies Record<string, Handler>
}
