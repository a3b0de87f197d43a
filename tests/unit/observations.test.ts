/** What the log says of others that fail for hours: enough to know, and not a line for each of their answers. */
import { afterEach, expect, test, vi } from 'vitest'
import { createLogger } from '../../src/observability/logger.ts'
import { createObservations } from '../../src/observability/observations.ts'

afterEach(() => {
  vi.useRealTimers()
})

test('a receiver of pushes that refuses everything is a line each half minute, and its metric counts', async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  const lines: string[] = []
  const observe = createObservations(createLogger('info', { write: (line) => lines.push(line) }))
  const refuse = (target: string) => {
    for (let seq = 1; seq <= 1_000; seq++) observe.pushRefused(target, { seq, attempts: 1 }, 'answered 500')
  }
  refuse('push:http')
  refuse('push:kafka')
  vi.advanceTimersByTime(30_001)
  refuse('push:http')
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { target: 'push:http', seq: 1, reason: 'answered 500', msg: 'a push was refused: trying again' },
    { target: 'push:kafka', seq: 1 },
    { target: 'push:http', seq: 1 },
  ])
  expect(await observe.registry.metrics()).toContain('ism_pushes_total{target="push:http",outcome="refused"} 2000')
})

test('a projection whose store is down is a line each half minute, and so is another one', () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  const lines: string[] = []
  const observe = createObservations(createLogger('info', { write: (line) => lines.push(line) }))
  for (let second = 0; second < 40; second++) {
    for (const name of ['archive', 'push:http']) observe.projectionFailed(name, new Error('no host'))
    vi.advanceTimersByTime(1_000)
  }
  expect(lines.map((line) => JSON.parse(line).projection)).toEqual(['archive', 'push:http', 'archive', 'push:http'])
})
