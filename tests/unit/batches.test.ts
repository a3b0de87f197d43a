/** Work that gathers into batches. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { createBatches } from '../../src/infra/batches.ts'

beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'setImmediate', 'performance'] }))
afterEach(() => vi.useRealTimers())

it('begins at once after a rest, and otherwise shares the next batch with what comes meanwhile', async () => {
  const begun: { at: number; batch: string[] }[] = []
  const batches = createBatches<string, string>({
    inOrder: false,
    spacingMs: 5,
    fitting: (waiting) => [...waiting].length,
    async run(batch) {
      begun.push({ at: performance.now(), batch })
      return batch
    },
  })
  await vi.advanceTimersByTimeAsync(100)
  const results: Promise<string>[] = []
  for (const item of ['first', 'second', 'third', 'fourth']) {
    results.push(batches.add(item))
    await vi.advanceTimersByTimeAsync(2)
  }
  await vi.advanceTimersByTimeAsync(20)
  results.push(batches.add('fifth'))
  await vi.advanceTimersByTimeAsync(20)
  expect(await Promise.all(results)).toEqual(['first', 'second', 'third', 'fourth', 'fifth'])
  expect(begun.map(({ batch }) => batch)).toEqual([['first'], ['second', 'third'], ['fourth'], ['fifth']])
  expect(begun.map(({ at }) => at - (begun[0]?.at ?? 0))).toEqual([0, 5, 10, 28])
})
