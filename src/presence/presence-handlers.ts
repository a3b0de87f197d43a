/** The call about who is online. */
import { type Handler, respondJson } from '../http/context.ts'
import { requireUuid } from '../http/validate.ts'
import type { PresenceService } from './presence-service.ts'

export function presenceHandlers(presence: PresenceService) {
  return {
    get: async (ctx) => {
      const found = await presence.of(ctx.state.user, requireUuid(ctx.params['user_id'], 'user_id'))
      respondJson(ctx, JSON.stringify(found))
    },
  } satisfies Record<string, Handler>
}
