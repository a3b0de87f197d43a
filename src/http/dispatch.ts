/** Finds a request's route: by its path alone where it has no parameters, else by the router's patterns. */
import type Router from '@koa/router'
import type { Middleware } from 'koa'
import type { Context, Handler, RouteContext, State } from './context.ts'

/** By path, then by method. */
type FixedRoutes = Map<string, Map<string, Handler>>

/** The router tries the pattern of every route for each request; those that are asked for most have no parameters. */
export function dispatch(router: Router<State>): Middleware<State> {
  const fixed = fixedRoutes(router)
  const dispatchByPattern = router.routes() as Middleware<State>
  return (ctx, next) => {
    const handlers = fixed.get(ctx.path)
    if (!handlers) return dispatchByPattern(ctx, next)
    const handler = handlers.get(ctx.method)
    // Not another route's parameter: GET /api/rooms/create-room names no room.
    if (!handler) return next()
    setRoute(ctx, ctx.path)
    return handler(ctx as RouteContext)
  }
}

/** Those of the route that `dispatch` would find at `path`; none where nothing is there. */
export function allowedMethods(router: Router<State>, path: string): string[] {
  const routes = router.match(path, '').path
  const fixed = routes.filter(({ paramNames }) => paramNames.length === 0)
  return [...new Set((fixed.length > 0 ? fixed : routes).flatMap(({ methods }) => methods))]
}

/** The route's pattern, for the metrics; `none` where nothing is at this path. */
export function routeOf(ctx: Context): string {
  const route = (ctx as { _matchedRoute?: unknown })._matchedRoute
  return typeof route === 'string' ? route : 'none'
}

function setRoute(ctx: Context, route: string): void {
  ;(ctx as { _matchedRoute?: unknown })._matchedRoute = route
}

function fixedRoutes(router: Router<State>): FixedRoutes {
  const fixed: FixedRoutes = new Map()
  for (const { path, methods, paramNames, stack } of router.stack) {
    const [handler, ...more] = stack
    if (typeof path !== 'string' || paramNames.length > 0 || !handler || more.length > 0) continue
    const handlers = fixed.get(path) ?? new Map<string, Handler>()
    for (const method of methods) handlers.set(method, handler as unknown as Handler)
    fixed.set(path, handlers)
  }
  return fixed
}
