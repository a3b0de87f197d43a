/** `POST /api/notifications`: a notification from the backend, signed, or with a token that has the service role. */
import { v7 } from 'uuid'
import { bearerToken } from '../auth/bearer.ts'
import type { TokenVerifier } from '../auth/verified-token.ts'
import type { WebhookConfig } from '../config/config.ts'
import { readBody } from '../http/bounded-body.ts'
import { type Handler, type RouteContext, respondJson } from '../http/context.ts'
import { refuseOtherThanJson } from '../http/json-body.ts'
import type { Queryable } from '../infra/postgres.ts'
import { AppError, conflict, forbidden } from '../shared/app-error.ts'
import { parseUuid } from '../shared/ids.ts'
import { derivedId, MAX_NOTIFICATION_BYTES } from './notification.ts'
import type { NotificationLog } from './notification-log.ts'
import { parseNotification } from './notification-schema.ts'
import { isNewRequest, wasReceived } from './received-requests.ts'
import { hasServiceRole, type ServiceRole } from './service-role.ts'
import { isSigned, type SignedRequest, verifySignature } from './webhook-signature.ts'

/** @returns `undefined` where nothing is configured that would let anybody send */
export function webhookHandler(
  secrets: WebhookConfig['secrets'],
  wanted: ServiceRole | undefined,
  { db, verifier, log }: { db: Queryable; verifier: TokenVerifier; log: NotificationLog },
): Handler | undefined {
  if (secrets.length === 0 && !wanted) return undefined

  return async (ctx) => {
    const isByToken = !isSigned(ctx.req.headers)
    if (isByToken) await requireServiceToken(ctx, verifier, wanted)
    const body = await readBody(ctx.req, MAX_NOTIFICATION_BYTES)
    const signed = isByToken ? undefined : requireSignature(ctx, body, secrets)
    refuseOtherThanJson(ctx.req)
    const notification = parseNotification(body)
    // Before: what had no event for want of a known user would have one now.
    if (signed && (await wasReceived(db, signed.digest))) throw replayed()
    const { id, seq, recipients, unknownUsers } = await log.append({
      ...notification,
      id: notification.id ?? (signed ? idOf(signed) : v7()),
    })
    // Afterwards, so that a request that failed may come again as it was.
    if (signed && !(await isNewRequest(db, signed.digest))) throw replayed()
    respondJson(ctx, JSON.stringify({ id, seq, recipients, unknownUsers }))
  }
}

async function requireServiceToken(ctx: RouteContext, verifier: TokenVerifier, wanted: ServiceRole | undefined) {
  if (!wanted || !ctx.req.headers.authorization) throw unauthenticated()
  const token = await verifier.verify(bearerToken(ctx.req.headers.authorization))
  if (!hasServiceRole(token, wanted)) throw forbidden('This token may not send notifications.')
}

function requireSignature(ctx: RouteContext, body: Buffer, secrets: readonly string[]): SignedRequest {
  const signed = verifySignature(ctx.req.headers, body, secrets)
  if (!signed) throw unauthenticated()
  return signed
}

/** The notification's id unless its body has one: made from the sender's, and so the same when it tries again. */
function idOf({ webhookId }: SignedRequest): string {
  return parseUuid(webhookId) ?? derivedId('webhook', webhookId)
}

const replayed = () =>
  conflict('This very request was taken before. An attempt of its own has a webhook-timestamp of its own.')

const unauthenticated = () =>
  new AppError('UNAUTHENTICATED', 'A valid signature, or a token with the service role, is required.')
