/** SQL over received_request: signed requests that were taken, for as long as their signature is good. */
import type { Queryable } from '../infra/postgres.ts'

export async function wasReceived(db: Queryable, digest: Buffer): Promise<boolean> {
  const rows = await db.query('notifications.was-received', 'select 1 from received_request where digest = $1', [
    digest,
  ])
  return rows.length > 0
}

/** @returns false where the very same request was taken before */
export async function isNewRequest(db: Queryable, digest: Buffer): Promise<boolean> {
  const rows = await db.query(
    'notifications.request',
    'insert into received_request (digest) values ($1) on conflict do nothing returning 1',
    [digest],
  )
  return rows.length > 0
}

/** Past the window of both sides' clocks: WINDOW_SECONDS in webhook-signature.ts. */
export async function deleteOldRequests(db: Queryable): Promise<void> {
  await db.query(
    'notifications.delete-old-requests',
    `delete from received_request where received_at < clock_timestamp() - interval '15 minutes'`,
  )
}
