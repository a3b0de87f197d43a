/** Makes a request somebody's: verifies its token and finds the person. */
import { bearerToken } from '../auth/bearer.ts'
import type { TokenVerifier } from '../auth/verified-token.ts'
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
