/** Signatures of the form that Standard Webhooks describes (https://www.standardwebhooks.com, version 1.0.0). */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

/** How far the sender's clock may be off, and how long a request that somebody overheard is good for. */
const WINDOW_SECONDS = 5 * 60
const MAX_ID_LENGTH = 255

/** What was signed with one of the secrets. */
export type SignedRequest = {
  /** The sender's, the same when it tries again. */
  webhookId: string
  /** SHA-256 of all that was signed: the same for these very bytes alone. */
  digest: Buffer
}

/** Whether the request means to be judged by its signature. */
export const isSigned = (headers: IncomingHttpHeaders): boolean => headers['webhook-signature'] !== undefined

/** `undefined` where no signature is one of `secrets`, or its time is too far from now. */
export function verifySignature(
  headers: IncomingHttpHeaders,
  body: Buffer,
  secrets: readonly string[],
): SignedRequest | undefined {
  const [id, timestamp, signatures] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map(
    (name) => headers[name],
  )
  if (typeof id !== 'string' || typeof timestamp !== 'string' || typeof signatures !== 'string') return undefined
  if (id === '' || id.length > MAX_ID_LENGTH || !/^\d{1,12}$/.test(timestamp)) return undefined
  if (Math.abs(Date.now() / 1_000 - Number(timestamp)) > WINDOW_SECONDS) return undefined
  const given = signatures.split(' ').flatMap((word) => (word.startsWith('v1,') ? [Buffer.from(word)] : []))
  const right = secrets.map((secret) => Buffer.from(sign(secret, id, timestamp, body)))
  // All of them, so that the time tells nothing of which one was right.
  let matches = 0
  for (const wanted of right) for (const one of given) matches += isSame(one, wanted) ? 1 : 0
  if (matches === 0) return undefined
  return { webhookId: id, digest: createHash('sha256').update(`${id}.${timestamp}.`).update(body).digest() }
}

/** One word of `webhook-signature`. */
export function sign(secret: string, id: string, timestamp: string, body: Buffer | string): string {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
  return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')}`
}

const isSame = (one: Buffer, other: Buffer) => one.length === other.length && timingSafeEqual(one, other)
