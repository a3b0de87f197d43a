/** The calls under /api/users that are about profiles. */
import { type Handler, type RouteContext, respondJson } from '../http/context.ts'
import type { RateLimits } from '../http/rate-limits.ts'
import { requireUuid } from '../http/validate.ts'
import { invalid } from '../shared/app-error.ts'
import type { UserService } from './user-service.ts'

const MAX_QUERY = 255

export function userHandlers(users: UserService, limits: RateLimits) {
  return {
    profile: async (ctx) => {
      const profile = await users.profile(ctx.state.user, requireUuid(ctx.params['user_id'], 'user_id'))
      respondJson(ctx, JSON.stringify(profile))
    },
    search: async (ctx) => {
      limits.search(ctx.state.user.id)
      const page = await users.search(ctx.state.user, usernameOf(ctx), single(ctx.query['cursor']))
      respondJson(ctx, JSON.stringify(page))
    },
  } satisfies Record<string, Handler>
}

function usernameOf(ctx: RouteContext): string {
  const username = single(ctx.query['username'])
  if (!username || [...username].length > MAX_QUERY || /[\0\p{Cs}]/u.test(username))
    throw invalid(`username: must have 1 to ${MAX_QUERY} characters`)
  return username
}

function single(value: string | string[] | undefined): string | undefined {
  const first = Array.isArray(value) ? value[0] : value
  return first === '' ? undefined : first
}
