/** If-None-Match against an entity tag. */

import { describe, expect, it } from 'vitest'
import { matchesEntityTag } from '../../src/http/conditional.ts'

describe('matchesEntityTag', () => {
  it.each(['"abc"', 'W/"abc"', '*', ' * ', '"x", "abc"', '"x",W/"abc" ', '"a,b", "abc"'])(
    '%s matches "abc"',
    (header) => expect(matchesEntityTag(header, '"abc"')).toBe(true),
  )

  it.each([undefined, '', 'abc', '"ABC"', '"abcd"', '"x", "y"', '"*"', '"ab" c"'])('%s does not', (header) =>
    expect(matchesEntityTag(header, '"abc"')).toBe(false),
  )

  it('compares weakly on both sides', () => expect(matchesEntityTag('"abc"', 'W/"abc"')).toBe(true))
})
