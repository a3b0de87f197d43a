/** snappy, lz4 and zstd as others write them, and what is refused before it takes memory or time. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decompressLz4 } from '../../src/infra/decompression/lz4.ts'
import { decompressSnappy } from '../../src/infra/decompression/snappy.ts'
import { decompressZstd } from '../../src/infra/decompression/zstd.ts'

const LONG = Array.from({ length: 7_000 }, (_, n) => `tea at ${n % 7}? `).join('')
const SHORT = LONG.slice(0, 2_500)

// Made by lz4 1.9.4, zstd 1.5.4 and snappy-java 1.1.10.7.
const CASES = [
  {
    name: 'lz4, blocks that refer to the blocks before',
    decompress: decompressLz4,
    text: LONG,
    data: 'BCJNGERAXi4BAACjdGVhIGF0IDA/IAoAFTEKABUyCgAVMwoAFTQKABU1CgA/Nj8gRgD/////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////olBlYSBhdBsAAAAPRgD//////////////////////2lQdCA2PyAAAAAA+OYJ2Q==',
  },
  {
    name: 'lz4, independent blocks, with checksums and size',
    decompress: decompressLz4,
    text: LONG,
    data: 'BCJNGHxAcBEBAAAAAADKLgEAAKN0ZWEgYXQgMD8gCgAVMQoAFTIKABUzCgAVNAoAFTUKAD82PyBGAP////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////+iUGVhIGF0uk/05z4AAADFIDE/IHRlYSBhdCAyCgAVMwoAFTQKABU1CgAVNgoAFTAKAA9GAP//////////////////////IlB0IDY/INLdgvwAAAAA+OYJ2Q==',
  },
  {
    name: 'snappy, raw',
    decompress: decompressSnappy,
    text: SHORT,
    data: 'xBMkdGVhIGF0IDA/IA0KADEVCgAyFQoAMxUKADQVCgA1FQoANhUK/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA2kYA',
  },
  {
    name: 'snappy, in chunks of 1 KiB as Java writes them',
    decompress: decompressSnappy,
    text: SHORT,
    data: 'glNOQVBQWQAAAAABAAAAAQAAAFSACCR0ZWEgYXQgMD8gDQoAMRUKADIVCgAzFQoANBUKADUVCgA2FQr+RgD+RgD+RgD+RgD+RgD+RgD+RgD+RgD+RgD+RgD+RgD+RgD+RgD+RgDKRgAAAABUgAg0YXQgND8gdGVhIGF0IDUVCgA2FQoAMBUKADEVCgAyFQoAMxUK/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA/kYA2kYAAAAAOcQDJD8gdGVhIGF0IDIVCgAzFQoANBUKADUVCgA2FQoAMBUKADEVCv5GAP5GAP5GAP5GAP5GANJGAA==',
  },
  {
    name: 'zstd, with size and checksum',
    decompress: decompressZstd,
    text: LONG,
    data: 'KLUv/aRwEQEANQEAkHRlYSBhdCAwPyAxMjM0NTY/IAcAJxFJyAP0gcJAEVAOFNasdAGWYsJc',
  },
  {
    name: 'zstd, from a stream, of unknown size',
    decompress: decompressZstd,
    text: SHORT,
    data: 'KLUv/QBYrQQAVtAeDdAVDhSlOPgiIjIgsEIcABkAGQC5yyl3OeUup9zllLuccpdT7nLKXU4BJIYgAmEInHKXU+5yyl1OucspdznlLqfc5ZS7nHKXU3c55S6n3OWUu5xyl1PucspdTrnLKXc55W4BlFPucspdTrnLKXc55S6n3OWUu5xyl1MCgPmoEPD7BuDXEEYEfkkqSSWp805BSgE=',
  },
].map(({ data, ...rest }) => ({ ...rest, data: Buffer.from(data, 'base64') }))

const MIB = 1024 * 1024
/** What the window of a stream is, of whatever length. */
const ENOUGH = 2 * MIB

describe.each(CASES)('$name', ({ name, decompress, text, data }) => {
  test('is what it was', () => expect(decompress(data, ENOUGH).toString()).toBe(text))

  test('is refused where it becomes more than may be', () => {
    expect(() => decompress(data, text.length - 1)).toThrow(/more than/)
    if (!name.includes('stream')) expect(decompress(data, text.length).toString()).toBe(text)
  })

  test('is refused where it ends too early', () => {
    // Its last four bytes may be a checksum, which nobody looks at.
    for (let length = 0; length < data.length - 4; length++) {
      const outcome = attempt(() => decompress(data.subarray(0, length), ENOUGH))
      // Between two chunks, or two elements, a shorter one ends.
      expect(outcome instanceof Error || text.startsWith(outcome)).toBe(true)
      expect(outcome).not.toBe(text)
    }
  })

  test('ends, within its bound, whatever is changed in it', () => {
    const change = fc.record({ at: fc.nat(data.length - 1), byte: fc.nat(255) })
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const changed = Buffer.from(data)
        for (const { at, byte } of changes) changed[at] = byte
        const outcome = attempt(() => decompress(changed, ENOUGH))
        expect(outcome instanceof Error || outcome.length <= ENOUGH).toBe(true)
      }),
      { numRuns: 300, interruptAfterTimeLimit: 10_000, markInterruptAsFailure: true },
    )
  })
})

test('a few bytes of lz4 that would be gigabytes are refused, not tried', () => {
  const header = Buffer.from('04224d1860707d', 'hex')
  const lengths = Buffer.alloc(8 * MIB, 0xff)
  const block = Buffer.concat([Buffer.from([0x1f, 0x61, 0x01, 0x00]), lengths, Buffer.from([0])])
  const size = Buffer.alloc(4)
  size.writeUInt32LE(block.length)
  expect(() => decompressLz4(Buffer.concat([header, size, block, Buffer.alloc(4)]), 32 * MIB)).toThrow(/more than/)
})

test('a zstd frame that demands a large window, or is followed by another, is refused', () => {
  const window128MiB = Buffer.from('28b52ffd00880100000000', 'hex')
  expect(() => decompressZstd(window128MiB, 32 * MIB)).toThrow(/window/)
  const [frame] = CASES.filter(({ decompress }) => decompress === decompressZstd).map(({ data }) => data)
  expect(() => decompressZstd(Buffer.concat([frame as Buffer, frame as Buffer]), 32 * MIB)).toThrow(/more than one/)
})

function attempt(work: () => Buffer): string | Error {
  try {
    return work().toString('latin1')
  } catch (error) {
    return error as Error
  }
}
