/** A line in which items come and go by turns. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Fifo } from '../../src/shared/fifo.ts'

it('gives each item once, in the order in which they came', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 100, maxLength: 200 }), (adds) => {
      const fifo = new Fifo<number>()
      const model: number[] = []
      for (const [n, isAdd] of adds.entries()) {
        if (isAdd) {
          fifo.add(n)
          model.push(n)
        } else if (!fifo.isEmpty) {
          expect(fifo.take()).toBe(model.shift())
        }
        expect(fifo.isEmpty).toBe(model.length === 0)
      }
    }),
  )
})
