/** Puts notifications into the log, as SystemMessage events; those that arrive together in one call. */
import { createBatches } from '../infra/batches.ts'
import type { Queryable } from '../infra/postgres.ts'
import { conflict, unavailable } from '../shared/app-error.ts'
import { contentHash, eventBody, type Notification } from './notification.ts'

export type Accepted = {
  id: string
  /** null where none of its users is known: then there is no event. */
  seq: number | null
  /** How many people it is for. */
  recipients: number
  unknownUsers: string[]
  /** It was there before. */
  repeated: boolean
}

export interface NotificationLog {
  /**
   * @throws AppError CONFLICT the id is another notification's; SERVICE_UNAVAILABLE not known to be kept: may be sent
   * again with the same id
   */
  append(notification: Notification): Promise<Accepted>
  /** Resolves when what was accepted is answered. */
  idle(): Promise<void>
}

/** The log's lock is held while they are written. */
const MAX_RECIPIENTS = 20_000
const MAX_NOTIFICATIONS = 512
const MAX_BYTES = 1024 * 1024
/** From Kafka and by webhook together. */
const MAX_WAITING = 500
/** What all that wait may take in memory, about; at the least each may be as large as notifications get. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024
/** A recipient's id, as it waits. */
const RECIPIENT_BYTES = 64

type Outcome = { n: number; status: number; seq: number | null; served: number; unknown: string[] }

const APPENDED_BEFORE = 1
const ANOTHER_NOTIFICATION = 2

export function createNotificationLog(db: Queryable, onCommit: (seq: number) => void = () => {}): NotificationLog {
  let waitingBytes = 0
  const batches = createBatches<Notification, Accepted>({
    // Records of one partition of Kafka are not to overtake each other.
    inOrder: true,
    fitting,
    async run(notifications) {
      const outcomes = await appendNotifications(db, notifications)
      onCommit(outcomes.reduce((newest, { seq }) => Math.max(newest, seq ?? 0), 0))
      const results: (Accepted | Error)[] = []
      for (const outcome of outcomes) results[outcome.n - 1] = resultOf(outcome, notifications[outcome.n - 1]?.id ?? '')
      return results
    },
  })
  return {
    append(notification) {
      // Once there is too much, all that comes is refused: what is smaller would overtake the rest.
      if (batches.waiting >= MAX_WAITING || waitingBytes >= MAX_WAITING_BYTES)
        return Promise.reject(unavailable('Too many notifications are waiting to be stored.'))
      const bytes = notification.message.length + notification.toUsers.length * RECIPIENT_BYTES
      waitingBytes += bytes
      return batches.add(notification).finally(() => {
        waitingBytes -= bytes
      })
    },
    idle: () => batches.idle(),
  }
}

/** An id at most once, as append_notifications demands. */
function fitting(waiting: Iterable<Notification>): number {
  const ids = new Set<string>()
  let bytes = 0
  let recipients = 0
  for (const { id, message, toUsers } of waiting) {
    bytes += message.length
    recipients += toUsers.length
    const isFull = ids.size === MAX_NOTIFICATIONS || bytes > MAX_BYTES || recipients > MAX_RECIPIENTS
    if (ids.size > 0 && (isFull || ids.has(id))) break
    ids.add(id)
  }
  return ids.size
}

function appendNotifications(db: Queryable, notifications: Notification[]): Promise<Outcome[]> {
  return db.query<Outcome>(
    'notifications.append',
    `select n, status, seq, served, unknown
    from append_notifications($1::uuid[], $2::bytea[], $3::text[], $4::uuid[], $5::int[])`,
    [
      notifications.map(({ id }) => id),
      notifications.map(contentHash),
      notifications.map(eventBody),
      notifications.flatMap(({ toUsers }) => toUsers),
      notifications.flatMap(({ toUsers }, index) => toUsers.map(() => index + 1)),
    ],
  )
}

function resultOf({ status, seq, served, unknown }: Outcome, id: string): Accepted | Error {
  if (status === ANOTHER_NOTIFICATION) return conflict('id was used for another notification.')
  return { id, seq, recipients: served, unknownUsers: unknown, repeated: status === APPENDED_BEFORE }
}

/** Those of `users` whom ISM does not know, in their order. */
export async function unknownUsersOf(db: Queryable, users: string[]): Promise<string[]> {
  const rows = await db.query<{ id: string }>(
    'notifications.unknown-users',
    `select w.id from unnest($1::uuid[]) with ordinality as w(id, k)
    where not exists (select from app_user u where u.id = w.id and u.deleted_at is null) order by w.k`,
    [users],
  )
  return rows.map(({ id }) => id)
}
