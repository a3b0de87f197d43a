/** Who had a stream: as a node that stops asks it, and where a million people are asked for. */
import { afterEach, expect, test, vi } from 'vitest'
import type { Queryable } from '../../src/infra/postgres.ts'
import { Coverage, type Decided } from '../../src/push/coverage.ts'
import { logEvent } from '../support/log-event.ts'

const LEASE_MS = 8_000

afterEach(() => {
  vi.useRealTimers()
})

test('what is asked while it stops, and waits for the end of a lease, is looked at no more and is still under way', async () => {
  vi.useFakeTimers()
  let asked = 0
  const query = async () => {
    asked++
    return [{ nodeId: 'node', now: Date.now(), covered: ['bob'], gone: [], until: Date.now() + LEASE_MS }]
  }
  const decided: Decided[] = []
  const coverage = new Coverage({ query } as unknown as Queryable, 'holder', (more) => decided.push(...more), {
    coverageFailed() {},
  })
  const asking = coverage.ask([{ event: logEvent(7), users: ['bob'], except: null }])
  coverage.stop()
  await asking
  await vi.advanceTimersByTimeAsync(2 * LEASE_MS)
  expect(asked).toBe(1)
  expect(decided).toEqual([])
  expect(coverage.oldestSeq).toBe(7)
})

test('more people than one statement can look up in its time are looked up in several', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] })
  const people = Array.from({ length: 250_000 }, (_, n) => `user ${n}`)
  const isCovered = (user: string) => user.endsWith('7')
  let streamsEnded = false
  const query = async (name: string, _: string, [ids]: [string[]]) => {
    if (name !== 'push.leases') return name === 'push.events' ? [logEvent(7)] : []
    // A million took 8 s, of the 10 s that a statement has.
    if (ids.length > 100_000) throw new Error('canceling statement due to statement timeout')
    const covered = streamsEnded ? [] : ids.filter(isCovered)
    return [{ nodeId: 'node', now: Date.now(), covered, gone: [], until: Date.now() + LEASE_MS }]
  }
  const decided: Decided[] = []
  const coverage = new Coverage({ query } as unknown as Queryable, 'holder', (more) => decided.push(...more), {
    coverageFailed() {},
  })
  await coverage.ask([{ event: logEvent(7), users: people, except: null }])
  expect(decided.map(({ users }) => users)).toEqual([people.filter((user) => !isCovered(user))])
  streamsEnded = true
  await vi.advanceTimersByTimeAsync(2 * LEASE_MS)
  expect(decided.map(({ users }) => users).at(1)).toEqual(people.filter(isCovered))
})
