/** Lets kafkajs read what Kafka's clients compress, of which it knows gzip alone, and no more of it than fits in memory. */
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import kafkajs from 'kafkajs'
import { decompressLz4 } from './decompression/lz4.ts'
import { decompressSnappy } from './decompression/snappy.ts'
import { decompressZstd } from './decompression/zstd.ts'

/** Of a batch that clients send (1 MiB at most by default, and by default as much before it is compressed). */
const MAX_BATCH_BYTES = 32 * 1024 * 1024

type Decompress = (data: Buffer, maxBytes: number) => Buffer | Promise<Buffer>

const decompressGzip: Decompress = (data, maxOutputLength) => promisify(gunzip)(data, { maxOutputLength })

/** For all clients of this process. What ISM writes it does not compress. */
export function registerKafkaCodecs(): void {
  const { CompressionCodecs, CompressionTypes } = kafkajs
  const { compress: gzip } = CompressionCodecs[CompressionTypes.GZIP]()
  CompressionCodecs[CompressionTypes.GZIP] = codec('gzip', decompressGzip, gzip)
  CompressionCodecs[CompressionTypes.Snappy] = codec('snappy', decompressSnappy)
  CompressionCodecs[CompressionTypes.LZ4] = codec('lz4', decompressLz4)
  CompressionCodecs[CompressionTypes.ZSTD] = codec('zstd', decompressZstd)
}

function codec(name: string, decompress: Decompress, compress: unknown = () => refuseToCompress(name)) {
  return () => ({
    compress,
    async decompress(data: Buffer): Promise<Buffer> {
      try {
        return await decompress(data, MAX_BATCH_BYTES)
      } catch (error) {
        throw new Error(`a ${name} batch cannot be decompressed: ${(error as Error).message}`, { cause: error })
      }
    },
  })
}

function refuseToCompress(name: string): never {
  throw new Error(`${name} is only read`)
}
