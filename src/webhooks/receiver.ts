/** One attempt to deliver a message to a receiver, and what it came to. */
import { readFileSync } from 'node:fs'
import type { WebhookReceiver } from '../config/config.ts'
import { createOutboundHttp } from '../infra/outbound-http.ts'
import { sign } from '../notifications/webhook-signature.ts'
import type { WebhookMessage } from './webhook-message.ts'

export type Outcome =
  | { kind: 'delivered' }
  /** It does not want this message; another try may change that, or not. */
  | { kind: 'refused'; reason: string }
  /** It is not there, or wants less at present: nothing is known of this message. */
  | { kind: 'unanswered'; reason: string; retryAfterSeconds?: number | undefined }

export type Receiver = {
  deliver(message: WebhookMessage, signal?: AbortSignal): Promise<Outcome>
  close(): Promise<void>
}

/** It may be there again, or want more again, in a while. */
const LATER = new Set([408, 425, 429, 502, 503, 504])
/** So much of an answer is read, so that its connection can serve the next request. */
const MAX_ANSWER_BYTES = 64 * 1024

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))

export function createReceiver({ url, secrets, allowPrivate, timeoutMs }: WebhookReceiver): Receiver {
  const http = createOutboundHttp({ allowPrivate, timeoutMs, maxResponseBytes: MAX_ANSWER_BYTES })
  return {
    async deliver({ id, body }, signal) {
      const timestamp = String(Math.floor(Date.now() / 1_000))
      const headers = {
        'content-type': 'application/json',
        'user-agent': `ism/${version}`,
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': secrets.map((secret) => sign(secret, id, timestamp, body)).join(' '),
      }
      try {
        const { status, retryAfterSeconds } = await http.post(url, headers, body, signal)
        if (status >= 200 && status < 300) return { kind: 'delivered' }
        const reason = `answered ${status}`
        return LATER.has(status) ? { kind: 'unanswered', reason, retryAfterSeconds } : { kind: 'refused', reason }
      } catch (error) {
        return { kind: 'unanswered', reason: error instanceof Error ? error.message : String(error) }
      }
    },
    close: () => http.close(),
  }
}
