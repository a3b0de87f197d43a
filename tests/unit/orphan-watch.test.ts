/** A process that npm started notices that npm is gone; any other may outlive its parent. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { watchParent } from '../../src/cli/orphan-watch.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test.each([
  ['under npx', { npm_command: 'exec' }, 1],
  ['on its own', {}, 0],
])('%s', (_, env, stops) => {
  const stop = vi.fn()
  const surroundings = { ppid: 4711 }
  watchParent(env, surroundings, stop)
  vi.advanceTimersByTime(10_000)
  expect(stop).not.toHaveBeenCalled()
  surroundings.ppid = 1
  vi.advanceTimersByTime(10_000)
  expect(stop).toHaveBeenCalledTimes(stops)
})
