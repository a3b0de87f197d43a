import { expect, it } from 'vitest'
import { closeAll } from '../../src/closing.ts'

it('closes the last first, and all of it where some of it fails', async () => {
  const closed: string[] = []
  const closing = ['pool', 'server', 'tail'].map((name) => async () => {
    closed.push(name)
    if (name !== 'pool') throw new Error(name)
  })
  await expect(closeAll(closing)).rejects.toThrow('tail')
  expect(closed).toEqual(['tail', 'server', 'pool'])
  await closeAll(closing)
  expect(closed).toHaveLength(3)
})
