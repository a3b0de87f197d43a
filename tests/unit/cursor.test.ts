/** Cursors: every place of a log survives the wire, and nothing that comes back from it can throw. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeCursor, encodeCursor } from '../../src/log/cursor.ts'

const epoch = fc.stringMatching(/^[0-9a-f]{1,64}$/)
const seq = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
/** Lone surrogates included. */
const anyText = fc.uint16Array().map((units) => String.fromCharCode(...units))

describe('a cursor', () => {
  it('comes back as it went out, as base64url', () => {
    fc.assert(
      fc.property(epoch, seq, (epoch, seq) => {
        const text = encodeCursor({ epoch, seq })
        expect(text).toMatch(/^[\w-]+$/)
        expect(decodeCursor(text)).toEqual({ epoch, seq })
      }),
    )
  })

  it('is another one for another place', () => {
    fc.assert(
      fc.property(epoch, seq, seq, (epoch, one, other) => {
        fc.pre(one !== other)
        expect(encodeCursor({ epoch, seq: one })).not.toBe(encodeCursor({ epoch, seq: other }))
      }),
    )
  })
})

describe('what is no cursor', () => {
  const base64url = (text: string) => Buffer.from(text).toString('base64url')

  it.each([
    '',
    'x',
    '%%%',
    base64url('abc'),
    base64url('abc.'),
    base64url('.1'),
    base64url('abc.-1'),
    base64url('abc.01'),
    base64url('abc.1.5'),
    base64url('abc.1e3'),
    base64url('abc.1 '),
    base64url('xyz.1'),
    base64url('ABC.1'),
    base64url(`abc.${'9'.repeat(16)}`),
    base64url(`${'a'.repeat(65)}.1`),
    encodeCursor({ epoch: 'a'.repeat(64), seq: 1 }).repeat(50),
  ])('%j is undefined', (text) => expect(decodeCursor(text)).toBeUndefined())

  it('never throws, and never gives a number that cannot be counted with', () => {
    const garbage = fc.oneof(
      anyText,
      fc.base64String(),
      anyText.map(base64url),
      fc.tuple(epoch, fc.bigInt()).map(([epoch, seq]) => base64url(`${epoch}.${seq}`)),
    )
    fc.assert(
      fc.property(garbage, (text) => {
        const cursor = decodeCursor(text)
        if (cursor !== undefined) expect(Number.isSafeInteger(cursor.seq) && cursor.seq >= 0).toBe(true)
      }),
    )
  })
})
