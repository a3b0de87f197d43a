/** Work in order for each of its keys: whatever is done when, nothing overtakes what has a key in common with it. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createInOrder, type Place } from '../../src/webhooks/in-order.ts'

test('no item begins before all earlier ones with a key of its own are done, and each does in the end', () => {
  const keys = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 3 })
  fc.assert(
    fc.property(fc.array(keys, { maxLength: 40 }), fc.infiniteStream(fc.nat()), (items, choices) => {
      const order = createInOrder<number>()
      const ready: Place<number>[] = []
      const done = new Set<number>()
      const finishOne = () => {
        const [place] = ready.splice(choices.next().value % ready.length, 1) as [Place<number>]
        for (const [n, earlier] of items.slice(0, place.item).entries()) {
          if (earlier.some((key) => items[place.item]?.includes(key))) expect(done).toContain(n)
        }
        done.add(place.item)
        ready.push(...order.done(place))
      }
      for (const [n, item] of items.entries()) {
        const place = order.add(n, item)
        if (place.before === 0) ready.push(place)
        while (ready.length > 0 && choices.next().value % 2 === 0) finishOne()
      }
      while (ready.length > 0) finishOne()
      expect(done.size).toBe(items.length)
    }),
  )
})

test('what has no key in common begins at once', () => {
  const order = createInOrder<number>()
  const first = order.add(1, ['a'])
  const second = order.add(2, ['a', 'b', 'a'])
  expect([first, order.add(3, ['c']), order.add(4, [])].map(({ before }) => before)).toEqual([0, 0, 0])
  const third = order.add(5, ['b'])
  expect(order.done(first)).toEqual([second])
  expect(order.done(second)).toEqual([third])
  expect(order.add(6, ['a', 'b']).before).toBe(1)
  expect(order.done(third)).toHaveLength(1)
})
