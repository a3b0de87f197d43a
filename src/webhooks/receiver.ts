/** One attempt to deliver a message to a receiver, and what the receiver made of it. */
import { readFileSync } from 'node:fs'
import type { WebhookReceiver } from '../config/config.ts'
import { type Answer, judgeStatus } from '../deliveries/answer.ts'
import { createOutboundHttp } from '../infra/outbound-http.ts'
import { sign } from '../notifications/webhook-signature.ts'
import type { WebhookMessage } from './webhook-message.ts'

export type Receiver = {
  deliver(message: WebhookMessage, signal?: AbortSignal): Promise<Answer>
  close(): Promise<void>
}

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
        return judgeStatus(await http.post(url, headers, body, signal))
      } catch (error) {
        return { outcome: 'unanswered', reason: error instanceof Error ? error.message : String(error) }
      }
    },
    close: () => http.close(),
  }
}
