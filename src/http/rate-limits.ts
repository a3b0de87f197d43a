/** How often one person may do what is costly, on this node. */

import { LRUCache } from 'lru-cache'
import type { LimitsConfig } from '../config/config.ts'
import { AppError } from '../shared/app-error.ts'

/** Counts one use by this person. @throws AppError RATE_LIMITED with `retryAfter` in whole seconds, at least 1 */
export type RateLimit = (userId: string) => void

export type RateLimits = {
  send: RateLimit
  search: RateLimit
  createRoom: RateLimit
  upload: RateLimit
  ticket: RateLimit
}

/** Past this many people a limit forgets who was idle longest, and so lets them start anew: it never grows. */
const MAX_PEOPLE = 20_000

const MINUTE = 60_000
const HOUR = 3_600_000

export function createRateLimits(config: LimitsConfig): RateLimits {
  return {
    send: tokenBucket(config.sendsPerSecond, 1000, Math.max(config.sendBurst, 1)),
    search: tokenBucket(config.searchesPerMinute, MINUTE, config.searchesPerMinute),
    createRoom: tokenBucket(config.roomsPerHour, HOUR, config.roomsPerHour),
    upload: tokenBucket(config.uploadsPerHour, HOUR, config.uploadsPerHour),
    ticket: tokenBucket(config.ticketsPerMinute, MINUTE, config.ticketsPerMinute),
  }
}

/**
 * A token bucket that holds `burst` and is filled with `count` tokens in each `period` (milliseconds), evenly. It is
 * kept as one number a person, the time at which their bucket is full again (the generic cell rate algorithm), so
 * that a send costs no promise and no timer, as it would with a limiter that counts in windows.
 */
function tokenBucket(count: number, period: number, burst: number): RateLimit {
  if (count === 0) return () => {}
  const interval = period / count
  // A microsecond's grace, or the sum of many intervals that are no whole number could refuse the last of a burst.
  const tolerance = (burst - 1) * interval + 0.001
  const fullAt = new LRUCache<string, number>({ max: MAX_PEOPLE })
  return (userId) => {
    // Monotonic: a clock that is set back must not shut anybody out.
    const now = performance.now()
    const full = Math.max(fullAt.get(userId) ?? now, now)
    const wait = full - now - tolerance
    if (wait > 0) throw tooFast(wait)
    fullAt.set(userId, full + interval)
  }
}

function tooFast(waitMilliseconds: number): AppError {
  const retryAfter = Math.max(1, Math.ceil(waitMilliseconds / 1000))
  return new AppError('RATE_LIMITED', 'Too many requests. Try again later.', { retryAfter })
}
