/** Decompresses snappy: raw, and in the framing of snappy-java, which Kafka's Java clients and brokers write. */
import { BoundedOutput } from './bounded-output.ts'

const JAVA_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
/** The magic and two versions. */
const JAVA_HEADER_BYTES = 16

/** @throws Error where it is corrupt, or becomes more than `maxBytes` */
export function decompressSnappy(data: Buffer, maxBytes: number): Buffer {
  const output = new BoundedOutput(maxBytes, data.length * 4)
  if (!data.subarray(0, JAVA_MAGIC.length).equals(JAVA_MAGIC)) {
    appendRaw(data, output)
    return output.toBuffer()
  }
  for (let at = JAVA_HEADER_BYTES; at < data.length; ) {
    const size = data.readUInt32BE(at)
    const chunk = data.subarray(at + 4, at + 4 + size)
    if (chunk.length < size) throw new Error('it ends too early')
    appendRaw(chunk, output)
    at += 4 + size
  }
  return output.toBuffer()
}

/** Of a tag, the lower two bits: a literal, or a copy with as many bytes for its distance. */
const LITERAL = 0
const COPY_1 = 1
const COPY_2 = 2

function appendRaw(data: Buffer, output: BoundedOutput): void {
  let at = 0
  let promised = 0
  for (let shift = 0, byte = 0x80; byte >= 0x80; shift += 7) {
    byte = data.readUInt8(at++)
    promised += (byte & 0x7f) * 2 ** shift
  }
  const before = output.length
  while (at < data.length) {
    const tag = data.readUInt8(at++)
    const rest = tag >> 2
    switch (tag & 3) {
      case LITERAL: {
        const extra = Math.max(0, rest - 59)
        const length = (extra === 0 ? rest : data.readUIntLE(at, extra)) + 1
        at += extra
        if (at + length > data.length) throw new Error('it ends too early')
        output.append(data.subarray(at, at + length))
        at += length
        break
      }
      case COPY_1:
        output.repeat(((tag >> 5) << 8) + data.readUInt8(at), (rest & 7) + 4)
        at += 1
        break
      case COPY_2:
        output.repeat(data.readUInt16LE(at), rest + 1)
        at += 2
        break
      default:
        output.repeat(data.readUInt32LE(at), rest + 1)
        at += 4
    }
  }
  if (output.length - before !== promised) throw new Error('it is not as long as it says')
}
