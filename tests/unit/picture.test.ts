/** What becomes of an uploaded picture, and which files are refused. */

import { deflateSync } from 'node:zlib'
import sharp, { type Color, type Sharp } from 'sharp'
import { describe, expect, it } from 'vitest'
import { toPicture } from '../../src/objects/picture.ts'

const RED = { r: 255, g: 0, b: 0 }
const BLUE = { r: 0, g: 0, b: 255 }

const plain = (width: number, height: number, background: Color = RED) =>
  sharp({ create: { width, height, channels: 3, background } })

/** The left half red, the right half blue. */
async function halves(width: number, height: number): Promise<Sharp> {
  const right = await plain(width / 2, height, BLUE)
    .png()
    .toBuffer()
  return sharp(
    await plain(width, height)
      .composite([{ input: right, left: width / 2, top: 0 }])
      .png()
      .toBuffer(),
  )
}

async function colourAt(picture: Buffer, left: number, top: number): Promise<string> {
  const [r = 0, g = 0, b = 0] = await sharp(picture).extract({ left, top, width: 1, height: 1 }).raw().toBuffer()
  const name = (value: number) => (value > 200 ? 'f' : value < 55 ? '0' : '7')
  return `#${name(r)}${name(g)}${name(b)}`
}

const sizeOf = async (picture: Buffer) => {
  const { width, height } = await sharp(picture).metadata()
  return [width, height]
}

const REFUSED = { code: 'FILE_PROCESSING_ERROR', status: 400 }

describe('size', () => {
  it.each([
    [1, 1, 1, 1],
    [500, 500, 500, 500],
    [501, 10, 500, 10],
    [10, 501, 10, 500],
    [2000, 1000, 500, 500],
    [300, 900, 300, 500],
  ])('%d × %d becomes %d × %d', async (width, height, newWidth, newHeight) => {
    const picture = await toPicture(await plain(width, height).png().toBuffer())
    expect(await sizeOf(picture)).toEqual([newWidth, newHeight])
  })

  it('is cropped around the centre, not scaled', async () => {
    const picture = await toPicture(await (await halves(1000, 600)).png().toBuffer())
    expect(await colourAt(picture, 240, 250)).toBe('#f00')
    expect(await colourAt(picture, 260, 250)).toBe('#00f')
  })
})

describe('orientation', () => {
  it('is applied before the picture is cropped', async () => {
    // Turned by 90° clockwise, the left half is the upper one.
    const turned = await (await halves(1000, 600)).jpeg().withMetadata({ orientation: 6 }).toBuffer()
    const picture = await toPicture(turned)
    expect(await sizeOf(picture)).toEqual([500, 500])
    expect(await colourAt(picture, 250, 240)).toBe('#f00')
    expect(await colourAt(picture, 250, 260)).toBe('#00f')
  })

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('%d gives what a viewer shows', async (orientation) => {
    const turned = await (await halves(800, 40)).jpeg({ quality: 100 }).withMetadata({ orientation }).toBuffer()
    const picture = await toPicture(turned)
    expect(await sizeOf(picture)).toEqual(orientation < 5 ? [500, 40] : [40, 500])
    const firstIsRed = [1, 4, 5, 6].includes(orientation)
    expect(await colourAt(picture, 2, 2)).toBe(firstIsRed ? '#f00' : '#00f')
    expect((await sharp(picture).metadata()).orientation).toBeUndefined()
  })
})

describe('what is stripped', () => {
  it('is all metadata, the place too', async () => {
    const source = await plain(10, 10)
      .jpeg()
      .withExif({ IFD0: { Artist: 'Alice Example' }, IFD3: { GPSLatitude: '51/1 30/1 0/1', GPSLatitudeRef: 'N' } })
      .toBuffer()
    expect(source.includes('Alice Example')).toBe(true)
    const picture = await toPicture(source)
    expect(await sharp(picture).metadata()).not.toHaveProperty('exif')
    expect(picture.includes('Alice Example') || picture.includes('Exif')).toBe(false)
  })

  it('is what follows the picture in its file', async () => {
    const source = Buffer.concat([await plain(10, 10).png().toBuffer(), Buffer.from('<script>hidden</script>')])
    expect((await toPicture(source)).includes('hidden')).toBe(false)
  })
})

describe('formats', () => {
  it.each(['jpeg', 'png', 'webp', 'gif', 'avif'] as const)('%s is read', async (format) => {
    const picture = await toPicture(await plain(20, 20).toFormat(format).toBuffer())
    expect((await sharp(picture).metadata()).format).toBe('jpeg')
    expect(await colourAt(picture, 10, 10)).toBe('#f00')
  })

  it('transparency becomes white', async () => {
    const clear = { ...RED, alpha: 0 }
    const source = await sharp({ create: { width: 9, height: 9, channels: 4, background: clear } })
      .png()
      .toBuffer()
    expect(await colourAt(await toPicture(source), 4, 4)).toBe('#fff')
  })

  it('an animation becomes its first frame', async () => {
    const frames = await Promise.all([RED, BLUE].map((colour) => plain(30, 30, colour).png().toBuffer()))
    const source = await sharp(frames, { join: { animated: true } })
      .gif({ delay: [100, 100] })
      .toBuffer()
    expect((await sharp(source, { animated: true }).metadata()).pages).toBe(2)
    const picture = await toPicture(source)
    expect(await sizeOf(picture)).toEqual([30, 30])
    expect(await colourAt(picture, 15, 15)).toBe('#f00')
  })

  it('CMYK, grey and 16 bits become sRGB', async () => {
    const sources = [
      plain(9, 9, '#888888').toColourspace('cmyk').jpeg(),
      plain(9, 9, '#888888').toColourspace('b-w').png(),
      plain(9, 9, '#888888').toColourspace('rgb16').png(),
    ]
    for (const source of sources) {
      const picture = await toPicture(await source.toBuffer())
      expect((await sharp(picture).metadata()).space).toBe('srgb')
      expect(await colourAt(picture, 4, 4)).toBe('#777')
    }
  })
})

describe('refused', () => {
  const SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><rect width="10" height="10"/></svg>'

  it.each([
    ['text', Buffer.from('hello')],
    ['nothing', Buffer.alloc(0)],
    ['one byte', Buffer.from([0xff])],
    ['SVG', Buffer.from(SVG)],
    ['SVG with a declaration', Buffer.from(`<?xml version="1.0"?>\n${SVG}`)],
    ['HTML', Buffer.from('<!doctype html><img src=x>')],
    ['PDF', Buffer.from('%PDF-1.7\n1 0 obj')],
  ])('%s', async (_, bytes) => {
    const message = 'The file is not a picture in JPEG, PNG, WebP, GIF or AVIF.'
    await expect(toPicture(bytes)).rejects.toMatchObject({ ...REFUSED, message })
  })

  it('TIFF, which sharp could read', async () => {
    await expect(toPicture(await plain(9, 9).tiff().toBuffer())).rejects.toMatchObject(REFUSED)
  })

  it.each(['jpeg', 'png', 'webp', 'gif', 'avif'] as const)('a truncated %s', async (format) => {
    const noise = sharp({
      create: {
        width: 200,
        height: 200,
        channels: 3,
        background: RED,
        noise: { type: 'gaussian', mean: 128, sigma: 30 },
      },
    })
    const whole = await noise.toFormat(format).toBuffer()
    const message = 'The picture is damaged and cannot be read.'
    for (const kept of [0.9, 0.5, 0.1]) {
      const cut = whole.subarray(0, Math.floor(whole.length * kept))
      await expect(toPicture(cut)).rejects.toMatchObject({ ...REFUSED, message })
    }
  })

  it('a decompression bomb, by its header alone', async () => {
    const started = performance.now()
    for (const [width, height] of [
      [50_000, 50_000],
      [2 ** 31 - 1, 2 ** 31 - 1],
      [50_000_001, 1],
    ] as const) {
      await expect(toPicture(png(width, height))).rejects.toMatchObject(REFUSED)
    }
    await expect(toPicture(png(50_000, 50_000))).rejects.toThrow('more than 50 megapixels')
    expect(performance.now() - started).toBeLessThan(1000)
  })
})

it('many at once are all served, in turn', async () => {
  const source = await plain(600, 600).jpeg().toBuffer()
  const pictures = await Promise.all(Array.from({ length: 20 }, () => toPicture(source)))
  expect(pictures).toHaveLength(20)
})

it('too many at once are told to come again', async () => {
  const source = await plain(600, 600).jpeg().toBuffer()
  const outcomes = await Promise.allSettled(Array.from({ length: 60 }, () => toPicture(source)))
  const refused = outcomes.filter((outcome) => outcome.status === 'rejected')
  expect(refused).toHaveLength(60 - 34)
  expect(refused[0]?.reason).toMatchObject({ code: 'SERVICE_UNAVAILABLE', retryAfter: 2 })
  await expect(toPicture(source)).resolves.toBeInstanceOf(Buffer)
})

/** A PNG that claims these dimensions and has almost no data. */
function png(width: number, height: number): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 2, 0, 0, 0], 8)
  const data = deflateSync(Buffer.alloc(1000))
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  return Buffer.concat([signature, pngChunk('IHDR', header), pngChunk('IDAT', data), pngChunk('IEND', Buffer.alloc(0))])
}

function pngChunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type), data])
  const frame = Buffer.alloc(8 + body.length)
  frame.writeUInt32BE(data.length, 0)
  frame.set(body, 4)
  frame.writeUInt32BE(crc32(body), 4 + body.length)
  return frame
}

function crc32(bytes: Buffer): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  return (crc ^ 0xffffffff) >>> 0
}
