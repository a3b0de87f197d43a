/** Requests signed as a backend signs them, by the public library for Standard Webhooks. */
import { randomBytes } from 'node:crypto'
import { Webhook } from 'standardwebhooks'

export const newSecret = (bytes = 24) => `whsec_${randomBytes(bytes).toString('base64')}`

export type SignedHeaders = Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string>

export function signedHeaders(secret: string, id: string, body: string, at = new Date()): SignedHeaders {
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
    'webhook-signature': new Webhook(secret).sign(id, at, body),
  }
}
