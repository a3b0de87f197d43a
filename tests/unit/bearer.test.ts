/** Which Authorization headers bear a token. */

import { describe, expect, it } from 'vitest'
import { bearerToken } from '../../src/auth/bearer.ts'

describe('bearerToken', () => {
  it.each([
    ['Bearer abc.def-_~+/', 'abc.def-_~+/'],
    ['bearer abc==', 'abc=='],
    ['BEARER   abc', 'abc'],
    ['Bearer abc ', 'abc'],
  ])('reads %j', (header, token) => expect(bearerToken(header)).toBe(token))

  it.each([
    undefined,
    '',
    'Bearer',
    'Bearer ',
    'Bearerabc',
    'Basic abc',
    'Bearer abc def',
    'Bearer abc, Bearer def',
    'Bearer\tabc',
    ' Bearer abc',
  ])('refuses %j', (header) => expect(() => bearerToken(header)).toThrow('A valid bearer token is required.'))
})
