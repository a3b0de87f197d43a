/** Decompresses Zstandard (RFC 8878), as Kafka's clients write it: one frame, without a dictionary. */
import { Decompress } from 'fzstd'
import { BoundedOutput } from './bounded-output.ts'

const MAGIC = 0xfd2fb528
const RUN_LENGTH = 1

/** @throws Error where it is corrupt, or becomes, or demands a window of, more than `maxBytes` */
export function decompressZstd(data: Buffer, maxBytes: number): Buffer {
  // The library takes as much memory as a frame's header demands, and that of any frame that follows.
  if (endOfFrame(data, maxBytes) !== data.length) throw new Error('it is more than one Zstandard frame')
  const output = new BoundedOutput(maxBytes, data.length * 4)
  new Decompress((bytes) => output.append(bytes)).push(data, true)
  return output.toBuffer()
}

function endOfFrame(data: Buffer, maxWindow: number): number {
  if (data.length < 6 || data.readUInt32LE(0) !== MAGIC) throw new Error('it is no Zstandard frame')
  const descriptor = data.readUInt8(4)
  const [sizeFlag, isSingleSegment, hasChecksum, dictionaryFlag] = [
    descriptor >> 6,
    (descriptor & 0x20) !== 0,
    (descriptor & 0x04) !== 0,
    descriptor & 0x03,
  ]
  if (dictionaryFlag !== 0) throw new Error('it needs a dictionary')
  const sizeBytes = sizeFlag === 0 ? Number(isSingleSegment) : 2 ** sizeFlag
  let at = isSingleSegment ? 5 : 6
  const window = isSingleSegment ? contentSize(data, at, sizeBytes) : windowSize(data.readUInt8(5))
  if (window > maxWindow) throw new Error(`it demands a window of more than ${maxWindow} bytes`)
  at += sizeBytes
  for (let isLast = false; !isLast; ) {
    const header = data.readUIntLE(at, 3)
    isLast = (header & 1) !== 0
    at += 3 + (((header >> 1) & 3) === RUN_LENGTH ? 1 : header >> 3)
  }
  return at + (hasChecksum ? 4 : 0)
}

function contentSize(data: Buffer, at: number, bytes: number): number {
  if (bytes === 8) return Number(data.readBigUInt64LE(at))
  return data.readUIntLE(at, bytes) + (bytes === 2 ? 256 : 0)
}

function windowSize(descriptor: number): number {
  return 2 ** (10 + (descriptor >> 3)) * (1 + (descriptor & 7) / 8)
}
