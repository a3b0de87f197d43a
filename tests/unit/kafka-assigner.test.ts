/** How a group shares the partitions of its topic among members that want all of them, or some. */
import { expect, test } from 'vitest'
import { share } from '../../src/notifications/kafka-assigner.ts'

const shared = (partitions: number[], wants: Record<string, number[]>) =>
  Object.fromEntries(
    share(
      partitions,
      Object.entries(wants).map(([memberId, wanted]) => ({ memberId, wanted })),
    ),
  )

test('evenly, whatever order members and partitions come in', () => {
  const evenly = { a: [0, 3], b: [1, 4], c: [2] }
  expect(shared([4, 2, 0, 1, 3], { c: [], a: [], b: [] })).toEqual(evenly)
  expect(shared([0, 1, 2, 3, 4], { b: [], c: [], a: [] })).toEqual(evenly)
})

test('a partition to somebody who wants it, and to nobody where nobody does', () => {
  expect(shared([0, 1, 2, 3], { a: [0], b: [1, 2, 9] })).toEqual({ a: [0], b: [1, 2] })
})

test('those who want all make up for those who want some', () => {
  expect(shared([0, 1, 2, 3], { a: [0], b: [] })).toEqual({ a: [0], b: [1, 2, 3] })
})

test('more members than partitions: some have none', () => {
  expect(shared([0], { a: [], b: [] })).toEqual({ a: [0], b: [] })
})
