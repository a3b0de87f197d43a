/** Who had a stream, as a node that stops asks it: nothing is decided any more, and nothing counts as done. */
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
