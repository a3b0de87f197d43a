/** Who sees which room's events, by seq: intervals read once from the database, then kept by the log itself. */
import type { Queryable } from '../infra/postgres.ts'
import { EventType, type LogEvent } from './event.ts'

/** A member sees the room's events with `from` < seq < `to`, or without end while they are in it. */
export type Interval = { from: number; to: number | undefined }

/** A member's latest interval in a room, and those before it. It never changes: members who came together share it. */
export type Stay = Readonly<Interval> & { readonly roomId: string; readonly earlier: Stay | undefined }

type IntervalRow = { roomId: string; from: number; to: number | null }

/** One person's rooms. Feeding it an event that its rows already contain changes nothing. */
export class Memberships {
  readonly #rooms = new Map<string, Stay>()
  /** Intervals that ended at or before this are not known here. */
  readonly since: number

  constructor(since: number, rows: IntervalRow[], stayOf: (row: IntervalRow) => Stay = newStay) {
    this.since = since
    for (const row of rows) this.#add(stayOf(row))
  }

  /** `event` is addressed to this person and names a room, or is that room's RoomDeleted. */
  apply({ type, roomId, seq }: LogEvent): void {
    if (!roomId) return
    const stay = this.#rooms.get(roomId)
    if (type === EventType.RoomDeleted) this.#rooms.delete(roomId)
    else if (type === EventType.NewRoom && !beganAt(stay, seq)) this.#add(newStay({ roomId, from: seq, to: null }))
    else if (type === EventType.LeaveRoom && stay) this.#rooms.set(roomId, endedAt(stay, seq))
  }

  sees(roomId: string, seq: number): boolean {
    return sees(this.#rooms.get(roomId), seq)
  }

  of(roomId: string): Stay | undefined {
    return this.#rooms.get(roomId)
  }

  /** Every room that has an interval here, open or closed, by its id. */
  get rooms(): ReadonlyMap<string, Stay> {
    return this.#rooms
  }

  #add(stay: Stay): void {
    const { roomId } = stay
    const earlier = this.#rooms.get(roomId)
    this.#rooms.set(roomId, earlier ? newStay(stay, earlier) : stay)
  }
}

export function sees(stay: Stay | undefined, seq: number): boolean {
  for (let each = stay; each; each = each.earlier) if (isWithin(each, seq)) return true
  return false
}

export function isWithin({ from, to }: Readonly<Interval>, seq: number): boolean {
  return from < seq && (to === undefined || seq < to)
}

/** Field by field: a copy of another object has a hidden class of its own, which is larger than this is. */
function newStay({ roomId, from, to }: IntervalRow | Stay, earlier?: Stay): Stay {
  return { roomId, from, to: to ?? undefined, earlier }
}

function beganAt(stay: Stay | undefined, seq: number): boolean {
  for (let each = stay; each; each = each.earlier) if (each.from === seq) return true
  return false
}

function endedAt(stay: Stay, seq: number): Stay {
  const { roomId, from, to, earlier } = stay
  if (isWithin(stay, seq)) return newStay({ roomId, from, to: seq }, earlier)
  return earlier ? newStay({ roomId, from, to: to ?? null }, endedAt(earlier, seq)) : stay
}

/**
 * @param known gives somebody's stay in a room that is in memory already
 * @returns for each of `people`, in their order, the intervals that reach beyond `since`
 */
export async function readMemberships(
  db: Queryable,
  people: readonly { userId: string; since: number }[],
  known: (roomId: string) => Stay | undefined,
): Promise<Memberships[]> {
  const rows = await db.query<IntervalRow & { place: number }>(
    'log.memberships',
    `select (p.place - 1)::int as place, m.room_id as "roomId", m.from_seq as "from", m.to_seq as "to"
    from unnest($1::uuid[], $2::bigint[]) with ordinality as p (user_id, since, place)
    join room_membership m on m.user_id = p.user_id and (m.to_seq is null or m.to_seq > p.since)`,
    [people.map(({ userId }) => userId), people.map(({ since }) => since)],
  )
  const rowsOf = people.map((): IntervalRow[] => [])
  for (const row of rows) rowsOf[row.place]?.push(row)
  const stayOf = sharedStays(known)
  return people.map(({ since }, place) => new Memberships(since, rowsOf[place] ?? [], stayOf))
}

/** Of all who are in a room, in memory its id is one text, and a stay from the same seq on is one object. */
function sharedStays(known: (roomId: string) => Stay | undefined): (row: IntervalRow) => Stay {
  const stays = new Map<string, Stay>()
  return ({ roomId, from, to }) => {
    const other = stays.get(roomId) ?? known(roomId)
    if (other && other.from === from && other.to === (to ?? undefined) && !other.earlier) return other
    const stay = newStay({ roomId: other?.roomId ?? roomId, from, to })
    if (!other) stays.set(roomId, stay)
    return stay
  }
}
