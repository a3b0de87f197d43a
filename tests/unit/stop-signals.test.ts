/** When a second signal is a second wish. */
import { EventEmitter } from 'node:events'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { listenForStop } from '../../src/cli/stop-signals.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

const signals = new EventEmitter()

test('the first asks; its echo is the same wish; a later one insists', async () => {
  const stop = listenForStop(signals)
  let insisted = false
  stop.insisted.catch(() => {
    insisted = true
  })
  signals.emit('SIGINT')
  expect(await stop.asked).toBe('SIGINT')
  vi.advanceTimersByTime(50)
  signals.emit('SIGINT')
  await Promise.resolve()
  expect(insisted).toBe(false)
  vi.advanceTimersByTime(1000)
  signals.emit('SIGTERM')
  await expect(stop.insisted).rejects.toThrow('stopped at once by a second SIGTERM')
  stop.stopListening()
})

test('nobody listens any more afterwards', () => {
  listenForStop(signals).stopListening()
  expect(signals.eventNames()).toEqual([])
})
