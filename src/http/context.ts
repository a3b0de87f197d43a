/** What middleware leaves for handlers. */
import type { RouterContext } from '@koa/router'
import type { DefaultContext, DefaultState, ParameterizedContext } from 'koa'
import type { VerifiedToken } from '../auth/verified-token.ts'
import type { Grant } from '../streams/authorised-streams.ts'
import type { CurrentUser } from '../users/user.ts'
import type { Response } from './response.ts'

/** A request that is still being answered; once that is over, it is to be told so. */
export type OpenRequest = { finish(): void }

export type State = DefaultState & {
  requestId: string
  /** For a response that goes on without `ctx.res`. */
  finishLater(): OpenRequest
  /** Set by the authentication, on every route that needs one. */
  user: CurrentUser
  /** But for the stream, which has a grant. */
  token: VerifiedToken
  grant: Grant
}

export type Context = ParameterizedContext<State>

export type RouteContext = RouterContext<State, DefaultContext>

export type Handler = (ctx: RouteContext) => void | Promise<void>

/** The server makes no other. */
export const responseOf = ({ res }: Pick<Context, 'res'>) => res as Response

/** Answers 200 with JSON that is text already. */
export function respondJson(ctx: RouteContext, json: string): void {
  ctx.respond = false
  responseOf(ctx).endWithJson(json)
}

/** Answers 200 with nothing. */
export function respondEmpty(ctx: RouteContext): void {
  ctx.status = 200
  ctx.type = 'text/plain'
  ctx.body = ''
}
