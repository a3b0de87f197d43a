/** Previews: 50 characters stay whole, more become 40 and three dots, and no character is ever cut in two. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { previewJson, shorten } from '../../src/messages/preview.ts'

const character = fc.integer({ min: 0, max: 0x10ffff - 0x800 }).map(
  // Past the surrogates, which are no characters.
  (number) => String.fromCodePoint(number < 0xd800 ? number : number + 0x800),
)
const length = (text: string) => [...text].length

describe('shorten', () => {
  it.each([
    ['49 characters', 'a'.repeat(49), 'a'.repeat(49)],
    ['50 characters', 'a'.repeat(50), 'a'.repeat(50)],
    ['51 characters', 'a'.repeat(51), `${'a'.repeat(40)}...`],
    ['50 outside the BMP', '😀'.repeat(50), '😀'.repeat(50)],
    ['51 outside the BMP', '😀'.repeat(51), `${'😀'.repeat(40)}...`],
    ['a pair at the cut', `${'a'.repeat(39)}😀${'b'.repeat(20)}`, `${'a'.repeat(39)}😀...`],
    ['a pair after the cut', `${'a'.repeat(40)}😀${'b'.repeat(20)}`, `${'a'.repeat(40)}...`],
    ['nothing', '', ''],
  ])('%s', (_, text, expected) => expect(shorten(text)).toBe(expected))

  it('leaves up to 50 characters alone', () => {
    fc.assert(
      fc.property(fc.string({ unit: character, maxLength: 50 }), (text) => {
        expect(shorten(text)).toBe(text)
      }),
    )
  })

  it('gives the first 40 and three dots of anything longer', () => {
    fc.assert(
      fc.property(fc.string({ unit: character, minLength: 51, maxLength: 4000 }), (text) => {
        fc.pre(length(text) > 50)
        const short = shorten(text)
        expect(length(short)).toBe(43)
        expect(short.endsWith('...')).toBe(true)
        expect(text.startsWith(short.slice(0, -3))).toBe(true)
      }),
    )
  })

  it('never cuts a surrogate pair', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', '😀', '\u{10ffff}'), maxLength: 120 }), (text) => {
        expect(shorten(text)).not.toMatch(/\p{Cs}/u)
      }),
    )
  })
})

describe('a stored preview', () => {
  it.each([
    ['none', null],
    ['empty', ''],
    ['cut off', '{"type":"Text","sender_username":"ali'],
  ])('that is %s makes the room look new', (_, stored) =>
    expect(JSON.parse(previewJson(stored))).toEqual({ type: 'New' }),
  )

  it('is given as it was kept', () => {
    const preview = { type: 'RoomChange', sender_username: 'Zoë 😀', room_change_type: 'JOIN' }
    expect(JSON.parse(previewJson(JSON.stringify(preview)))).toEqual(preview)
  })
})
