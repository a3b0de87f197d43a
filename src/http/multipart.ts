/** Reads the one picture that a multipart/form-data request carries (RFC 7578). */

import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { MultipartParser } from 'formidable'
import { AppError, invalid } from '../shared/app-error.ts'
import { announcesBody, readBody, tooLarge } from './bounded-body.ts'

/*
 * Of formidable only the parser is used, neither its form nor koa-body, which hands everything to that form. The form
 * ends the process on a plain field with `Content-Transfer-Encoding: 7bit` (an unhandled rejection), takes quadratic
 * time over a part's `filename` before any hook of ours runs, does not bound a part's header or the body as a whole,
 * and leaves the request paused after a refusal, so that the next one on the connection waits for ever.
 */

/** What boundaries, part headers and fields other than the picture may take. */
const ENVELOPE_BYTES = 64 * 1024
const MAX_PARTS = 10
const MAX_PART_HEADER_BYTES = 8 * 1024
/** A picture yields one event in some hundred bytes; a body made of false boundaries one a byte, at 0.7 µs each. */
const MAX_EVENTS = 200_000
const SLICE_BYTES = 64 * 1024

const FORM_DATA = /^\s*multipart\/form-data\s*(?:;|$)/i
/** At most 70 characters (RFC 2046, section 5.1.1). */
const BOUNDARY = /;\s*boundary\s*=\s*(?:"([^"]{1,70})"|([^\s;,"]{1,70})(?=[\s;]|$))/i
const PARAMETER = /;\s*([\w*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))/g

type ParserEvent = { name: string; buffer?: Buffer; start?: number; end?: number }

type Part = { headers: Map<string, string>; headerBytes: number; chunks: Buffer[] }

/**
 * The bytes of the part `image`, which is a file: it has a filename or a Content-Type. Other parts are ignored.
 *
 * @param options.maxBytes of the picture itself
 * @throws AppError UNSUPPORTED_MEDIA_TYPE where the body is not multipart/form-data; PAYLOAD_TOO_LARGE;
 * VALIDATION_ERROR where `image` is missing, empty, sent twice or no file, or the body is malformed
 */
export async function readImage(req: IncomingMessage, options: { maxBytes: number }): Promise<Buffer> {
  const { maxBytes } = options
  const boundary = boundaryOf(req)
  if (!announcesBody(req)) throw missing()
  const body = await readBody(req, maxBytes + ENVELOPE_BYTES).catch((error: unknown) => {
    throw error instanceof AppError && error.code === 'PAYLOAD_TOO_LARGE' ? tooLarge(maxBytes) : error
  })
  const images = (await parseParts(body, boundary)).filter(isImage)
  const image = images[0]
  if (image === undefined) throw missing()
  if (images.length > 1) throw invalid('image must be sent once.')
  const bytes = Buffer.concat(image.chunks)
  if (bytes.length === 0) throw invalid('image must not be empty.')
  if (bytes.length > maxBytes) throw tooLarge(maxBytes)
  return bytes
}

function boundaryOf(req: IncomingMessage): string {
  const type = req.headers['content-type'] ?? ''
  if (!FORM_DATA.test(type)) {
    req.resume()
    throw new AppError('UNSUPPORTED_MEDIA_TYPE', 'The body must be multipart/form-data with a file named image.')
  }
  const match = BOUNDARY.exec(type)
  const boundary = match?.[1] ?? match?.[2]
  if (boundary === undefined) {
    req.resume()
    throw invalid('The Content-Type must name a multipart boundary.')
  }
  return boundary
}

async function parseParts(body: Buffer, boundary: string): Promise<Part[]> {
  const parser = new MultipartParser()
  parser.initWithBoundary(boundary)
  const collector = new PartCollector()
  try {
    // Slices, because the parser keeps every event of one write in memory.
    for await (const event of Readable.from(slices(body)).pipe(parser)) collector.take(event as ParserEvent)
  } catch (error) {
    throw error instanceof AppError ? error : invalid('The multipart body is malformed.')
  }
  return collector.parts
}

function* slices(body: Buffer): Generator<Buffer> {
  for (let at = 0; at < body.length; at += SLICE_BYTES) yield body.subarray(at, at + SLICE_BYTES)
}

class PartCollector {
  readonly parts: Part[] = []
  #events = 0
  #field = ''
  #value = ''

  take(event: ParserEvent): void {
    this.#events += 1
    if (this.#events > MAX_EVENTS) throw invalid('The multipart body is malformed.')
    if (event.name === 'partBegin') this.#begin()
    const part = this.parts.at(-1)
    if (part === undefined) return
    const { buffer, start, end } = event
    if (event.name === 'partData' && buffer) part.chunks.push(buffer.subarray(start, end))
    else if (event.name === 'headerEnd') this.#endHeader(part)
    else if (buffer) this.#appendHeader(part, event.name, buffer.toString('utf8', start, end))
  }

  #begin(): void {
    if (this.parts.length === MAX_PARTS) throw invalid(`The body may have at most ${MAX_PARTS} parts.`)
    this.parts.push({ headers: new Map(), headerBytes: 0, chunks: [] })
  }

  #appendHeader(part: Part, name: string, text: string): void {
    part.headerBytes += text.length
    if (part.headerBytes > MAX_PART_HEADER_BYTES) throw invalid('The header of a part is too long.')
    if (name === 'headerField') this.#field += text
    else if (name === 'headerValue') this.#value += text
  }

  #endHeader(part: Part): void {
    part.headers.set(this.#field.toLowerCase(), this.#value)
    this.#field = ''
    this.#value = ''
  }
}

function isImage(part: Part): boolean {
  const parameters = new Map<string, string>()
  for (const [, name = '', quoted, token] of (part.headers.get('content-disposition') ?? '').matchAll(PARAMETER)) {
    if (!parameters.has(name.toLowerCase())) parameters.set(name.toLowerCase(), quoted ?? token ?? '')
  }
  if (parameters.get('name') !== 'image') return false
  const isFile = parameters.has('filename') || parameters.has('filename*') || part.headers.has('content-type')
  if (!isFile) throw invalid('image must be a file, not a plain field.')
  return true
}

const missing = () => invalid('image is required: a file in a multipart/form-data body.')
