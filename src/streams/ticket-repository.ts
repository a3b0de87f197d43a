/** SQL over stream_ticket, and what tells whether a stream may still be open. */
import type { Queryable } from '../infra/postgres.ts'
import { TICKET_CHANNEL } from '../log/wake-ups-postgres.ts'

/** How long a ticket may wait for its first stream. */
export const OPEN_SECONDS = 30

/** One stream of a ticket: the newest has the highest number. */
export type TicketUse = {
  /** Hexadecimal. */
  hash: string
  opening: number
}

export type TicketOpening = {
  /** Hexadecimal, and in no other opening of the same call. */
  hash: string
  /** Whether the client has had something of an earlier stream. */
  resumes: boolean
}

export type UsedTicket = { userId: string; displayName: string; expiresAt: Date; opening: number }

/** @returns the moment from which the ticket opens nothing any more, unless it was used */
export async function insertTicket(
  db: Queryable,
  { hash, userId, expiresAt, validUntil }: { hash: string; userId: string; expiresAt: Date; validUntil: Date },
): Promise<Date> {
  const [ticket] = await db.query<{ openUntil: Date }>(
    'tickets.insert',
    `insert into stream_ticket (hash, user_id, expires_at, open_until)
    values (decode($1, 'hex'), $2, $3, least(clock_timestamp() + interval '${OPEN_SECONDS} seconds', $4))
    returning open_until as "openUntil"`,
    [hash, userId, expiresAt, validUntil],
  )
  if (!ticket) throw new Error('the ticket was not inserted')
  return ticket.openUntil
}

/**
 * Makes each stream its ticket's newest, and tells the nodes of the older one that it is over. Of two at once that open
 * it, one waits for the other's row and then finds it open. All rows are locked before the first is changed, in one
 * order, so that of two nodes that are asked for the same tickets neither waits for the other.
 *
 * @param validAfter a ticket whose token expires at this time or before is void
 * @returns what became of each, in their order
 */
export async function useTickets(
  db: Queryable,
  openings: readonly TicketOpening[],
  validAfter: Date,
): Promise<(UsedTicket | undefined)[]> {
  const used = await db.query<UsedTicket & { place: number }>(
    'tickets.use',
    `with wanted as materialized (
      select t.hash, w.hash as hex, w.resumes, (w.place - 1)::int as place
      from unnest($1::text[], $2::boolean[]) with ordinality as w (hash, resumes, place)
      join stream_ticket t on t.hash = decode(w.hash, 'hex')
      order by t.hash for no key update of t),
    used as (
      update stream_ticket t set openings = t.openings + 1, is_open = true
      from wanted w, app_user u
      where t.hash = w.hash and u.id = t.user_id and u.deleted_at is null and t.expires_at > $3
        and (w.resumes and t.openings > 0 or not t.is_open and t.open_until > clock_timestamp())
      returning w.place, w.hex, t.user_id, u.display_name, t.expires_at, t.openings)
    select place, user_id as "userId", display_name as "displayName", expires_at as "expiresAt", openings as opening,
      case when openings > 1 then pg_notify('${TICKET_CHANNEL}', hex || ' ' || openings) end
    from used`,
    [openings.map(({ hash }) => hash), openings.map(({ resumes }) => resumes), validAfter],
  )
  const results: (UsedTicket | undefined)[] = openings.map(() => undefined)
  for (const each of used) results[each.place] = each
  return results
}

/** Notes that the ticket's newest stream is over. */
export async function releaseTicket(db: Queryable, { hash, opening }: TicketUse): Promise<void> {
  await db.query(
    'tickets.release',
    `update stream_ticket set is_open = false
    where hash = decode($1, 'hex') and openings = $2 and open_until > clock_timestamp()`,
    [hash, opening],
  )
}

/** Past their token's expiry by more than any `clock_leeway`, or never used; those that somebody is trying go next time. */
export async function deleteOldTickets(db: Queryable): Promise<void> {
  await db.query(
    'tickets.delete-old',
    `delete from stream_ticket where hash = any (array(
      select hash from stream_ticket
      where expires_at < clock_timestamp() - interval '10 minutes'
        or openings = 0 and open_until < clock_timestamp() - interval '1 minute'
      for update skip locked))`,
  )
}

export type Authorisation = { userId: string; ticket: TicketUse | undefined }

/** @returns the places of those whose person was deleted, or whose ticket has a newer stream */
export async function findRevoked(db: Queryable, authorisations: Authorisation[]): Promise<number[]> {
  const rows = await db.query<{ place: number }>(
    'streams.revoked',
    `select (s.place - 1)::int as place
    from unnest($1::uuid[], $2::text[], $3::int[]) with ordinality as s (user_id, hash, opening, place)
    where not exists (select from app_user u where u.id = s.user_id and u.deleted_at is null)
      or s.hash is not null and not exists (
        select from stream_ticket t where t.hash = decode(s.hash, 'hex') and t.openings = s.opening)`,
    [
      authorisations.map(({ userId }) => userId),
      authorisations.map(({ ticket }) => ticket?.hash ?? null),
      authorisations.map(({ ticket }) => ticket?.opening ?? null),
    ],
  )
  return rows.map(({ place }) => place)
}
