/** What operators and load balancers ask, without a user's token. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { bearerToken } from '../auth/bearer.ts'
import { METRICS_TYPE, type Scrape } from '../observability/scrape.ts'
import { notFound, unauthenticated } from '../shared/app-error.ts'
import type { Handler } from './context.ts'

export type HealthHandlers = Record<'hello' | 'alive' | 'ready' | 'metrics', Handler>

/** A store by the name that operators know it by; rejects where it does not work. Without a required one no node serves. */
export type StoreCheck = { name: string; required: boolean; check: () => Promise<void> }

type StoreHealth = { name: string; required: boolean; ok: boolean; milliseconds: number }

type Readiness = { ready: boolean; stores: StoreHealth[] }

/** Anybody may ask; the stores are asked once a second at most. */
const READINESS_MS = 1_000
const REQUIRED_TIMEOUT_MS = 3_000
/** A store that decides nothing must not take a node out by its slowness: probes often wait for a second only. */
const OPTIONAL_TIMEOUT_MS = 700

/** @param metrics `token` serves /metrics here to whoever bears it; without one there is no such path */
export function healthHandlers(
  stores: StoreCheck[],
  metrics: { token: string | undefined; scrape: Scrape },
): HealthHandlers {
  let readiness: Promise<Readiness> | undefined
  let askedAt = 0

  return {
    hello: (ctx) => {
      ctx.type = 'text/plain'
      ctx.body = "Hello, world! I'm your new ISM. 🤗"
    },
    alive: (ctx) => {
      ctx.type = 'text/plain'
      ctx.body = 'Healthy'
    },
    ready: async (ctx) => {
      const now = performance.now()
      if (!readiness || now - askedAt > READINESS_MS) {
        readiness = checkAll(stores)
        askedAt = now
      }
      const result = await readiness
      ctx.status = result.ready ? 200 : 503
      ctx.set('Cache-Control', 'no-store')
      ctx.body = result
    },
    metrics: async (ctx) => {
      if (metrics.token === undefined) throw notFound('There is nothing at this path.')
      if (!sameSecret(bearerToken(ctx.req.headers.authorization), metrics.token)) throw unauthenticated()
      ctx.type = METRICS_TYPE
      ctx.body = await metrics.scrape()
    },
  }
}

async function checkAll(stores: StoreCheck[]): Promise<Readiness> {
  const results = await Promise.all(stores.map(healthOf))
  return { ready: results.every(({ ok, required }) => ok || !required), stores: results }
}

async function healthOf({ name, required, check }: StoreCheck): Promise<StoreHealth> {
  const started = performance.now()
  const timeout = required ? REQUIRED_TIMEOUT_MS : OPTIONAL_TIMEOUT_MS
  const ok = await Promise.race([
    check().then(
      () => true,
      () => false,
    ),
    new Promise<boolean>((resolve) => setTimeout(resolve, timeout, false).unref()),
  ])
  return { name, required, ok, milliseconds: Math.round(performance.now() - started) }
}

function sameSecret(given: string, wanted: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(wanted))
}
