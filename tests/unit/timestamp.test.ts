/** Times from the wire: RFC 3339 and nothing else, any offset, cut to milliseconds. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseTimestamp, wireTime } from '../../src/shared/timestamp.ts'

/** Lone surrogates included. */
const anyText = fc.uint16Array().map((units) => String.fromCharCode(...units))

describe('parseTimestamp', () => {
  it.each([
    ['2026-01-31T12:00:00Z', '2026-01-31T12:00:00.000Z'],
    ['2026-01-31t12:00:00.5z', '2026-01-31T12:00:00.500Z'],
    ['2026-01-31 12:00:00.123Z', '2026-01-31T12:00:00.123Z'],
    ['2026-01-31T12:00:00.123999Z', '2026-01-31T12:00:00.123Z'],
    ['2026-01-31T12:00:00.999999999999Z', '2026-01-31T12:00:00.999Z'],
    ['2026-01-31T12:00:00+02:00', '2026-01-31T10:00:00.000Z'],
    ['2026-01-31T12:00:00.001-05:30', '2026-01-31T17:30:00.001Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
    ['2016-12-31T23:59:60Z', '2016-12-31T23:59:59.000Z'],
    ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z'],
    ['9999-12-31T23:59:59-01:00', '9999-12-31T23:59:59.999Z'],
    ['0000-01-01T00:00:00+01:00', '0000-01-01T00:00:00.000Z'],
  ])('%s is %s', (text, expected) => expect(parseTimestamp(text)?.toISOString()).toBe(expected))

  it.each([
    '',
    'now',
    '2026-01-31',
    '2026-01-31T12:00:00',
    '2026-01-31T12:00Z',
    '2026-1-31T12:00:00Z',
    '2026-02-29T12:00:00Z',
    '2026-04-31T12:00:00Z',
    '2026-13-01T12:00:00Z',
    '2026-00-01T12:00:00Z',
    '2026-01-00T12:00:00Z',
    '2026-01-31T25:00:00Z',
    '2026-01-31T12:60:00Z',
    '2026-01-31T12:00:61Z',
    '2026-01-31T12:00:00.Z',
    '2026-01-31T12:00:00+0200',
    '2026-01-31T12:00:00+25:00',
    '+002026-01-31T12:00:00Z',
    '1769860800000',
    ' 2026-01-31T12:00:00Z',
    '2026-01-31T12:00:00Z\n',
  ])('%j is none', (text) => expect(parseTimestamp(text)).toBeUndefined())

  it('reads back what ISM writes', () => {
    const time = fc.date({
      min: new Date('0000-01-01T00:00:00Z'),
      max: new Date('9999-12-31T23:59:59.999Z'),
      noInvalidDate: true,
    })
    fc.assert(
      fc.property(time, (time) => {
        expect(parseTimestamp(time.toISOString())).toEqual(time)
      }),
    )
  })

  it('never throws, and never gives an invalid date', () => {
    const nearly = fc.stringMatching(/^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,12})?([Zz]|[+-]\d\d:\d\d)$/)
    fc.assert(
      fc.property(fc.oneof(anyText, nearly), (text) => {
        const time = parseTimestamp(text)
        if (time !== undefined) expect(Number.isNaN(time.getTime())).toBe(false)
      }),
    )
  })
})

describe('wireTime', () => {
  it.each([
    ['2026-01-31 12:00:00', '2026-01-31T12:00:00.000Z'],
    ['2026-01-31 12:00:00.5', '2026-01-31T12:00:00.500Z'],
    ['2026-01-31 12:00:00.07', '2026-01-31T12:00:00.070Z'],
    ['2026-01-31 12:00:00.123', '2026-01-31T12:00:00.123Z'],
    ['2026-01-31 12:00:00.999999', '2026-01-31T12:00:00.999Z'],
  ])('of %s is %s', (utc, expected) => expect(wireTime(utc)).toBe(expected))
})
