/** Bursts, the even flow after them, and what a refusal says. */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { LimitsConfig } from '../../src/config/config.ts'
import { createRateLimits, type RateLimit } from '../../src/http/rate-limits.ts'
import { AppError } from '../../src/shared/app-error.ts'

const CONFIG: LimitsConfig = {
  sendsPerSecond: 20,
  sendBurst: 60,
  searchesPerMinute: 60,
  roomsPerHour: 30,
  uploadsPerHour: 20,
  ticketsPerMinute: 60,
}

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** How many of `attempts` uses pass now. */
function passed(limit: RateLimit, attempts: number, userId = 'alice'): number {
  let count = 0
  for (let attempt = 0; attempt < attempts; attempt++) {
    try {
      limit(userId)
      count += 1
    } catch {}
  }
  return count
}

function refusal(limit: RateLimit): AppError {
  try {
    limit('alice')
  } catch (error) {
    if (error instanceof AppError) return error
  }
  throw new Error('was not refused')
}

describe('sending', () => {
  it('passes a burst of 60 and then 20 a second, evenly', () => {
    const { send } = createRateLimits(CONFIG)
    expect(passed(send, 100)).toBe(60)
    vi.advanceTimersByTime(49)
    expect(passed(send, 100)).toBe(0)
    vi.advanceTimersByTime(1)
    expect(passed(send, 100)).toBe(1)
    vi.advanceTimersByTime(1000)
    expect(passed(send, 100)).toBe(20)
  })

  it('has its whole burst again after a rest, and never more', () => {
    const { send } = createRateLimits(CONFIG)
    passed(send, 60)
    vi.advanceTimersByTime(3_600_000)
    expect(passed(send, 100)).toBe(60)
  })

  it('counts each person by themselves', () => {
    const { send } = createRateLimits(CONFIG)
    expect(passed(send, 100, 'alice')).toBe(60)
    expect(passed(send, 100, 'bob')).toBe(60)
  })

  it('does not charge what it refuses', () => {
    const { send } = createRateLimits(CONFIG)
    passed(send, 10_000)
    vi.advanceTimersByTime(50)
    expect(passed(send, 1)).toBe(1)
  })

  it.each([1, 3, 7, 11, 13])('gives exactly its burst at %d a second', (sendsPerSecond) => {
    const { send } = createRateLimits({ ...CONFIG, sendsPerSecond, sendBurst: 997 })
    expect(passed(send, 2000)).toBe(997)
  })
})

describe('a refusal', () => {
  it('is 429 with the seconds to wait, at least 1', () => {
    const { send, createRoom } = createRateLimits(CONFIG)
    passed(send, 60)
    expect(refusal(send)).toMatchObject({ code: 'RATE_LIMITED', status: 429, retryAfter: 1 })
    passed(createRoom, 30)
    expect(refusal(createRoom).retryAfter).toBe(120)
    vi.advanceTimersByTime(500)
    expect(refusal(createRoom).retryAfter).toBe(120)
    vi.advanceTimersByTime(119_500)
    expect(passed(createRoom, 1)).toBe(1)
  })
})

describe('the other limits', () => {
  it.each([
    ['search', 60, 60_000],
    ['createRoom', 30, 3_600_000],
    ['upload', 20, 3_600_000],
    ['ticket', 60, 60_000],
  ] as const)('%s passes %d in %d ms', (name, count, period) => {
    const limit = createRateLimits(CONFIG)[name]
    expect(passed(limit, 200)).toBe(count)
    vi.advanceTimersByTime(period)
    expect(passed(limit, 200)).toBe(count)
  })

  it('are independent of each other', () => {
    const limits = createRateLimits(CONFIG)
    passed(limits.send, 100)
    expect(passed(limits.search, 1)).toBe(1)
  })
})

it('0 switches a limit off', () => {
  const { send, search, upload } = createRateLimits({ ...CONFIG, sendsPerSecond: 0, searchesPerMinute: 0 })
  expect(passed(send, 5000)).toBe(5000)
  expect(passed(search, 5000)).toBe(5000)
  expect(passed(upload, 5000)).toBe(20)
})

it('forgets the longest idle rather than growing', () => {
  const { upload } = createRateLimits(CONFIG)
  passed(upload, 20)
  for (let person = 0; person < 20_000; person++) upload(`person-${person}`)
  expect(passed(upload, 1)).toBe(1)
})
