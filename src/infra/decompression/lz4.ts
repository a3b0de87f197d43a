/** Decompresses LZ4: the frame format 1.6, as far as Kafka's clients write it (one frame, without a dictionary). */
import { BoundedOutput } from './bounded-output.ts'

const MAGIC = 0x184d2204
const UNCOMPRESSED = 0x80000000
const MIN_MATCH = 4
/** Of a length's four bits: more follows. */
const LONGER = 15

/** @throws Error where it is corrupt, or becomes more than `maxBytes`. Checksums are not looked at. */
export function decompressLz4(frame: Buffer, maxBytes: number): Buffer {
  if (frame.length < 7 || frame.readUInt32LE(0) !== MAGIC) throw new Error('it is no LZ4 frame')
  const flags = frame.readUInt8(4)
  const [version, hasBlockChecksums, hasSize, hasDictionary] = [flags >> 6, flags & 0x10, flags & 0x08, flags & 0x01]
  if (version !== 1 || hasDictionary) throw new Error('it is an LZ4 frame of another kind')
  const output = new BoundedOutput(maxBytes, frame.length * 4)
  // Magic number, flags, block size, size of the content, checksum of these.
  let at = 6 + (hasSize ? 8 : 0) + 1
  for (;;) {
    const word = frame.readUInt32LE(at)
    if (word === 0) return output.toBuffer()
    const size = word & ~UNCOMPRESSED
    const block = frame.subarray(at + 4, at + 4 + size)
    if (block.length < size) throw new Error('it ends too early')
    if (word >= UNCOMPRESSED) output.append(block)
    else appendBlock(block, output)
    at += 4 + size + (hasBlockChecksums ? 4 : 0)
  }
}

/** Matches may reach back into the blocks before. */
function appendBlock(block: Buffer, output: BoundedOutput): void {
  let at = 0

  function lengthOf(bits: number): number {
    let length = bits
    if (bits < LONGER) return length
    for (let byte = 255; byte === 255; length += byte) byte = block.readUInt8(at++)
    return length
  }

  while (at < block.length) {
    const token = block.readUInt8(at++)
    const literals = lengthOf(token >> 4)
    if (at + literals > block.length) throw new Error('it ends too early')
    output.append(block.subarray(at, at + literals))
    at += literals
    // The last sequence has no match.
    if (at === block.length) return
    const distance = block.readUInt16LE(at)
    at += 2
    output.repeat(distance, lengthOf(token & LONGER) + MIN_MATCH)
  }
}
