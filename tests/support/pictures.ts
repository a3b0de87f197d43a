/** Pictures to upload. */
import sharp from 'sharp'

export const picture = (width: number, height: number, background = '#336699'): Promise<Buffer> =>
  sharp({ create: { width, height, channels: 3, background } })
    .jpeg()
    .toBuffer()

/** The multipart body of an upload. */
export function pictureForm(file: Buffer | string, field = 'image'): FormData {
  const data = new FormData()
  data.append(field, new Blob([typeof file === 'string' ? file : new Uint8Array(file)]), 'picture.jpg')
  return data
}
