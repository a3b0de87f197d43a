/** What a receiver made of a delivery, and so what becomes of it. */

export type Answer =
  | { outcome: 'accepted' }
  /** It is the delivery that the receiver does not take: the same one again will hardly be taken either. */
  | { outcome: 'refused'; reason: string }
  /** The receiver takes nothing at present. */
  | { outcome: 'unanswered'; reason: string; retryAfterMs?: number }

/**
 * Statuses that say nothing of this request: the sender is not let in (a wrong token or secret), or the same is to come
 * later (RFC 9110, RFC 6585, RFC 8470).
 */
const LATER = new Set([401, 403, 408, 425, 429, 502, 503, 504])
/** A receiver may ask for less traffic, not for being forgotten. */
const MAX_RETRY_AFTER_MS = 30_000

export function judgeStatus({ status, retryAfterSeconds }: HttpAnswer): Answer {
  if (status >= 200 && status < 300) return { outcome: 'accepted' }
  const reason = `answered ${status}`
  if (!LATER.has(status)) return { outcome: 'refused', reason }
  if (retryAfterSeconds === undefined) return { outcome: 'unanswered', reason }
  return { outcome: 'unanswered', reason, retryAfterMs: Math.min(retryAfterSeconds * 1_000, MAX_RETRY_AFTER_MS) }
}

type HttpAnswer = { status: number; retryAfterSeconds: number | undefined }
