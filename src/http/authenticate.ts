/** Makes a request somebody's: verifies its token and finds the person. */
import { bearerToken } from '../auth/bearer.ts'
import type { TokenVerifier } from '../auth/verified-token.ts'
import { invalid } from '../shared/app-error.ts'
import type { AuthorisedStreams } from '../streams/authorised-streams.ts'
import type { StreamTickets } from '../streams/stream-tickets.ts'
import type { CurrentUsers } from '../users/current-users.ts'
import type { Handler, RouteContext } from './context.ts'

export type Authenticate = (handler: Handler) => Handler

export function authentication(verifier: TokenVerifier, users: CurrentUsers): Authenticate {
  return (handler) => async (ctx: RouteContext) => {
    ctx.state.token = await verifier.verify(bearerToken(ctx.req.headers.authorization))
    ctx.state.user = await users.resolve(ctx.state.token)
    await handler(ctx)
  }
}

export type StreamAuthenticationOptions = {
  tickets: StreamTickets
  streams: AuthorisedStreams
  allowQueryToken: boolean
}

/** For the stream, which browsers open without headers: by token, by ticket or, where allowed, by a token in the query. */
export function streamAuthentication(
  verifier: TokenVerifier,
  users: CurrentUsers,
  { tickets, streams, allowQueryToken }: StreamAuthenticationOptions,
): Authenticate {
  return (handler) => async (ctx: RouteContext) => {
    const asOf = streams.changes
    const { authorization } = ctx.req.headers
    // A ticket is good for one stream, which HEAD does not open.
    const ticket = ctx.method === 'HEAD' ? [] : ctx.query['ticket']
    const queryToken = allowQueryToken ? ctx.query['access_token'] : []
    requireOne([authorization, ticket, queryToken].flatMap((given) => given ?? []))
    if (typeof ticket === 'string') {
      const { user, ...opened } = await tickets.use(ticket, ctx.get('Last-Event-ID') !== '')
      ctx.state.user = user
      ctx.state.grant = { ...opened, asOf }
    } else {
      const token = await verifier.verify(typeof queryToken === 'string' ? queryToken : bearerToken(authorization))
      ctx.state.user = await users.resolve(token)
      ctx.state.grant = { expiresAt: token.expiresAt, ticket: undefined, asOf }
    }
    await handler(ctx)
  }
}

/** RFC 6750, section 2: in one way only. */
function requireOne(given: string[]): void {
  if (given.length > 1) throw invalid('Use one of Authorization, ticket and access_token, and use it once.')
}
