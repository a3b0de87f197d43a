/** UUIDs: any case comes in, lower case is compared and goes out. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseUuid } from '../../src/shared/ids.ts'

describe('parseUuid', () => {
  it('reads any case as lower case', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.infiniteStream(fc.boolean()), (uuid, upper) => {
        const mixed = [...uuid].map((letter) => (upper.next().value ? letter.toUpperCase() : letter)).join('')
        expect(parseUuid(mixed)).toBe(uuid.toLowerCase())
      }),
    )
  })

  const UUID = '5b0d1c9e-3f6a-4c83-9a0e-5f1d2c3b4a59'
  it.each([
    '',
    UUID.slice(1),
    `${UUID}0`,
    ` ${UUID}`,
    `${UUID}\n`,
    `{${UUID}}`,
    `urn:uuid:${UUID}`,
    UUID.replaceAll('-', ''),
    UUID.replace('5', 'g'),
    UUID.replace('5', '５'),
    null,
    undefined,
    42,
    [UUID],
    { toString: () => UUID },
  ])('%j is none', (value) => expect(parseUuid(value)).toBeUndefined())

  it('takes any version, the nil and the max UUID', () => {
    const nil = '00000000-0000-0000-0000-000000000000'
    expect(parseUuid(nil)).toBe(nil)
    expect(parseUuid(nil.replaceAll('0', 'F'))).toBe(nil.replaceAll('0', 'f'))
  })

  it('never throws', () => {
    fc.assert(fc.property(fc.anything(), (value) => void parseUuid(value)))
  })
})
