/** Pushes by HTTP: one POST carries a batch, as a JSON array. */
import type { PushHttpConfig } from '../config/config.ts'
import { judgeStatus } from '../deliveries/answer.ts'
import { MAX_REQUEST_BYTES, type OutboundHttp } from '../infra/outbound-http.ts'
import { HTTP, pushJson } from './push.ts'
import type { PushTarget } from './push-target.ts'

/** The operator's own service, which may be anywhere. */
export const PUSH_HTTP = { allowPrivate: true, timeoutMs: 10_000, maxResponseBytes: 64 * 1024 }

export function createHttpPushTarget({ url, accessToken }: PushHttpConfig, http: OutboundHttp): PushTarget {
  const headers = {
    'content-type': 'application/json',
    ...(accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` }),
  }
  return {
    name: HTTP,
    maxPushes: 500,
    maxBytes: 1024 * 1024,
    async send(pushes, signal) {
      const body = Buffer.from(`[${pushes.map(pushJson).join()}]`)
      // Never sent, so that no wait helps.
      if (body.length > MAX_REQUEST_BYTES) return { outcome: 'refused', reason: 'too large for one request' }
      try {
        return judgeStatus(await http.post(url, headers, body, signal))
      } catch (error) {
        return { outcome: 'unanswered', reason: error instanceof Error ? error.message : String(error) }
      }
    },
    close: () => http.close(),
  }
}
