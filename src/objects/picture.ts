/** Turns an uploaded file into the picture that ISM keeps: at most 500 by 500 pixels, JPEG, without metadata. */

import { fileTypeFromBuffer } from 'file-type'
import sharp, { type Region, type Sharp } from 'sharp'
import { AppError, unavailable } from '../shared/app-error.ts'

const MAX_SIDE = 500
const MAX_MEGAPIXELS = 50
const MAX_SECONDS = 10
/** Decoding takes up to 4 bytes a pixel, so that two at a time stay within 400 MB. */
const MAX_AT_ONCE = 2
const MAX_WAITING = 32

/** By content, never by name. sharp reads more, among it SVG, whose renderer is no place for strangers' files. */
const READABLE = new Set(['image/jpeg', 'image/png', 'image/apng', 'image/webp', 'image/gif', 'image/avif'])

// Nothing is read twice, and pictures are small: threads of their own would only take the cores from requests.
sharp.cache(false)
sharp.concurrency(1)

/**
 * Upright by its EXIF orientation, each side longer than 500 pixels cropped to 500 around the centre, never scaled;
 * transparency becomes white, an animation its first frame, every colour space sRGB.
 *
 * @param bytes a JPEG, PNG, WebP, GIF or AVIF of at most 50 megapixels
 * @returns a JPEG
 * @throws AppError FILE_PROCESSING_ERROR; SERVICE_UNAVAILABLE where too many pictures wait
 */
export async function toPicture(bytes: Buffer): Promise<Buffer> {
  const type = await fileTypeFromBuffer(bytes).catch(() => undefined)
  if (type === undefined || !READABLE.has(type.mime)) {
    throw unreadable('The file is not a picture in JPEG, PNG, WebP, GIF or AVIF.')
  }
  return await inTurn(() => convert(bytes))
}

async function convert(bytes: Buffer): Promise<Buffer> {
  try {
    const { width, height } = (await decoder(bytes).metadata()).autoOrient
    return await decoder(bytes)
      .autoOrient()
      .extract(centre(width, height))
      .flatten({ background: '#ffffff' })
      .toColourspace('srgb')
      .jpeg({ quality: 85 })
      .timeout({ seconds: MAX_SECONDS })
      .toBuffer()
  } catch (error) {
    throw asAppError(error)
  }
}

/** sharp refuses by the dimensions in the file's header, before it decodes anything. */
function decoder(bytes: Buffer): Sharp {
  return sharp(bytes, { limitInputPixels: MAX_MEGAPIXELS * 1e6, failOn: 'error', pages: 1 })
}

function centre(width: number, height: number): Region {
  const kept = { width: Math.min(width, MAX_SIDE), height: Math.min(height, MAX_SIDE) }
  return { ...kept, left: Math.floor((width - kept.width) / 2), top: Math.floor((height - kept.height) / 2) }
}

function asAppError(error: unknown): AppError {
  const reason = error instanceof Error ? error.message : ''
  if (/pixel limit/i.test(reason)) return unreadable(`The picture has more than ${MAX_MEGAPIXELS} megapixels.`, error)
  if (/timeout/i.test(reason)) return unreadable('The picture takes too long to process.', error)
  return unreadable('The picture is damaged and cannot be read.', error)
}

function unreadable(message: string, cause?: unknown): AppError {
  return new AppError('FILE_PROCESSING_ERROR', message, { cause })
}

let running = 0
const waiting: (() => void)[] = []

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (running >= MAX_AT_ONCE) {
    if (waiting.length >= MAX_WAITING) throw unavailable('Too many pictures are being processed.')
    // Whoever finishes hands over their place, so that `running` does not change.
    await new Promise<void>((proceed) => waiting.push(proceed))
  } else running += 1
  try {
    return await work()
  } finally {
    const next = waiting.shift()
    if (next) next()
    else running -= 1
  }
}
