/** Reads a JSON request body: bounded, strictly UTF-8, without text that PostgreSQL or a client cannot hold. */

import type { IncomingMessage } from 'node:http'
import { AppError, invalid } from '../shared/app-error.ts'
import { announcesBody, readBody } from './bounded-body.ts'

const DEFAULT_MAX_BYTES = 1024 * 1024
const MAX_DEPTH = 32

const JSON_TYPE = /^\s*(?:application\/json|[\w!#$&^.+-]+\/[\w!#$&^.+-]+\+json)\s*(?:;|$)/i
const CHARSET = /;\s*charset\s*=\s*"?([^\s";]*)/i
/** With the `u` flag a surrogate that has its partner is one code point and so no `Cs`: only lone ones match. */
const UNSTORABLE = /[\0\p{Cs}]/u

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * The parsed body.
 *
 * @param maxBytes 1 MiB unless given
 * @throws AppError UNSUPPORTED_MEDIA_TYPE; PAYLOAD_TOO_LARGE; VALIDATION_ERROR where there is no body, or one that is
 * not JSON, not UTF-8, nested deeper than 32 levels, has U+0000 or a lone surrogate in any text, or a field __proto__
 */
export async function readJson(req: IncomingMessage, maxBytes = DEFAULT_MAX_BYTES): Promise<unknown> {
  const body = await readOptionalJson(req, maxBytes)
  if (body === undefined) throw invalid('A JSON body is required.')
  return body
}

/** As `readJson`, but `undefined` where the body is empty. */
export async function readOptionalJson(req: IncomingMessage, maxBytes = DEFAULT_MAX_BYTES): Promise<unknown> {
  if (!announcesBody(req)) return undefined
  const bytes = await readBody(req, maxBytes)
  if (bytes.length === 0) return undefined
  refuseOtherThanJson(req)
  return parseJson(bytes)
}

/** @throws AppError UNSUPPORTED_MEDIA_TYPE */
export function refuseOtherThanJson(req: IncomingMessage): void {
  const type = req.headers['content-type'] ?? ''
  if (type === 'application/json' && req.headers['content-encoding'] === undefined) return
  const charset = CHARSET.exec(type)?.[1]?.toLowerCase() ?? 'utf-8'
  const encoding = req.headers['content-encoding']?.toLowerCase() ?? 'identity'
  if (JSON_TYPE.test(type) && (charset === 'utf-8' || charset === 'utf8') && encoding === 'identity') return
  throw new AppError(
    'UNSUPPORTED_MEDIA_TYPE',
    'The body must be application/json in UTF-8, without a content encoding.',
  )
}

/** @param what is named in errors. @throws AppError VALIDATION_ERROR, as `readJson` */
export function parseJson(bytes: Buffer, what = 'The body'): unknown {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    throw invalid(`${what} is not valid UTF-8.`)
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw invalid(`${what} is not valid JSON.`)
  }
  // Valid UTF-8 has no surrogates and valid JSON no raw control characters: only an escape can bring them in.
  judge(value, what, text.includes('\\u'), 1)
  return value
}

/** `name` is the field that holds `value`; the elements of an array go by the array's name. */
function judge(value: unknown, name: string, withText: boolean, depth: number): void {
  if (typeof value === 'string') {
    if (withText && UNSTORABLE.test(value)) throw unstorable(name)
    return
  }
  if (typeof value !== 'object' || value === null) return
  if (depth > MAX_DEPTH) throw invalid(`It may be nested at most ${MAX_DEPTH} levels deep.`)
  if (Array.isArray(value)) {
    for (const element of value) judge(element, name, withText, depth + 1)
    return
  }
  judgeObject(value as Record<string, unknown>, withText, depth)
}

function judgeObject(object: Record<string, unknown>, withText: boolean, depth: number): void {
  for (const key in object) {
    if (withText && UNSTORABLE.test(key)) throw unstorable('A field name')
    // JSON.parse makes it an own property, but a later Object.assign would set the prototype with it.
    if (key === '__proto__') throw invalid('A field may not be named __proto__.')
    judge(object[key], key, withText, depth + 1)
  }
}

const unstorable = (name: string) => invalid(`${name.slice(0, 64)} may not contain U+0000 or a lone surrogate.`)
