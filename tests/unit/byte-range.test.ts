/** Range and If-Range headers against a representation's size and tag. */

import { describe, expect, it } from 'vitest'
import { byteRange, rangeApplies } from '../../src/http/byte-range.ts'

describe('byteRange of 10 bytes', () => {
  it.each([
    ['bytes=0-0', 0, 0],
    ['bytes=0-9', 0, 9],
    ['bytes=2-5', 2, 5],
    ['bytes=9-', 9, 9],
    ['bytes=0-', 0, 9],
    ['bytes=5-99999999999999999999999', 5, 9],
    ['bytes=-1', 9, 9],
    ['bytes=-10', 0, 9],
    ['bytes=-99999999999999999999999', 0, 9],
    ['Bytes=2-5', 2, 5],
    ['bytes=2-5 ', 2, 5],
    ['bytes=002-005', 2, 5],
  ])('%s is %i to %i', (header, start, end) => expect(byteRange(header, 10)).toEqual({ start, end }))

  it.each(['bytes=10-', 'bytes=10-11', 'bytes=99999999999999999999999-', 'bytes=-0'])('%s is unsatisfiable', (header) =>
    expect(byteRange(header, 10)).toBe('unsatisfiable'),
  )

  it.each(['', 'bytes', 'bytes=', 'bytes=-', 'bytes=5-2', 'bytes=0-1,3-4', 'bytes=0-1,', 'items=0-1', 'bytes=a-b'])(
    '%j is ignored',
    (header) => expect(byteRange(header, 10)).toBeUndefined(),
  )
})

it('nothing of an empty representation can be had', () => {
  for (const header of ['bytes=0-', 'bytes=0-0', 'bytes=-5']) expect(byteRange(header, 0)).toBe('unsatisfiable')
})

describe('rangeApplies', () => {
  it('without If-Range, and with the same strong tag', () => {
    expect(rangeApplies('', '"a"')).toBe(true)
    expect(rangeApplies(' "a" ', '"a"')).toBe(true)
  })

  it.each(['"b"', 'W/"a"', 'a', '*', 'Mon, 23 Nov 2026 20:00:00 GMT'])('not with %s', (header) =>
    expect(rangeApplies(header, '"a"')).toBe(false),
  )
})
