/** The calls under /api/users that are about friends and blocks. */
import { type Handler, type RouteContext, respondEmpty, respondJson } from '../http/context.ts'
import { requireUuid } from '../http/validate.ts'
import { invalid } from '../shared/app-error.ts'
import type { Action } from './relationship.ts'
import type { RelationshipService } from './relationship-service.ts'

export function relationshipHandlers(relationships: RelationshipService) {
  const act =
    (action: Action, parameter: string): Handler =>
    async (ctx) => {
      await relationships.act(ctx.state.user, action, otherIn(ctx, parameter))
      respondEmpty(ctx)
    }
  const actAndShow =
    (action: Action): Handler =>
    async (ctx) => {
      const state = await relationships.act(ctx.state.user, action, otherIn(ctx, 'user_id'))
      respondJson(ctx, JSON.stringify({ state }))
    }
  return {
    friends: async (ctx) => respondJson(ctx, JSON.stringify(await relationships.friends(ctx.state.user))),
    requests: async (ctx) => respondJson(ctx, JSON.stringify(await relationships.friendRequests(ctx.state.user))),
    add: act('add', 'user_id'),
    accept: act('accept', 'sender_id'),
    reject: act('reject', 'sender_id'),
    remove: act('remove', 'friend_id'),
    block: actAndShow('block'),
    unblock: actAndShow('unblock'),
  } satisfies Record<string, Handler>
}

function otherIn(ctx: RouteContext, parameter: string): string {
  const otherId = requireUuid(ctx.params[parameter], parameter)
  if (otherId === ctx.state.user.id) throw invalid(`${parameter}: must be another user than yourself`)
  return otherId
}
