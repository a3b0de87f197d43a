/** Who sees which room's events, by seq: intervals read once from the database, then kept by the log itself. */
import type { Queryable } from '../infra/postgres.ts'
import { EventType, type LogEvent } from './event.ts'

/** A member sees the room's events with `from` < seq < `to`, or without end while they are in it. */
export type Interval = { from: number; to: number | undefined }

type IntervalRow = { roomId: string; from: number; to: number | null }

/** One person's rooms. Feeding it an event that its rows already contain changes nothing. */
export class Memberships {
  readonly #rooms = new Map<string, Interval[]>()
  /** Intervals that ended at or before this are not known here. */
  readonly since: number

  constructor(since: number, rows: IntervalRow[]) {
    this.since = since
    for (const { roomId, from, to } of rows) this.#add(roomId, { from, to: to ?? undefined })
  }

  /** `event` is addressed to this person and names a room, or is that room's RoomDeleted. */
  apply(event: LogEvent): void {
    if (!event.roomId) return
    if (event.type === EventType.RoomDeleted) {
      this.#rooms.delete(event.roomId)
    } else if (event.type === EventType.NewRoom) {
      if (!this.#rooms.get(event.roomId)?.some(({ from }) => from === event.seq))
        this.#add(event.roomId, { from: event.seq, to: undefined })
    } else if (event.type === EventType.LeaveRoom) {
      const open = this.#rooms.get(event.roomId)?.find((interval) => isWithin(interval, event.seq))
      if (open) open.to = event.seq
    }
  }

  sees(roomId: string, seq: number): boolean {
    return sees(this.#rooms.get(roomId), seq)
  }

  /** The room's intervals, which `apply` changes. */
  of(roomId: string): readonly Interval[] {
    return this.#intervals(roomId)
  }

  /** Every room that has an interval here, open or closed, by its id. */
  get rooms(): ReadonlyMap<string, readonly Interval[]> {
    return this.#rooms
  }

  #add(roomId: string, interval: Interval): void {
    const intervals = this.#rooms.get(roomId)
    if (intervals) intervals.push(interval)
    // With room for one: what begins empty and grows has room for 17.
    else this.#rooms.set(roomId, [interval])
  }

  #intervals(roomId: string): Interval[] {
    let intervals = this.#rooms.get(roomId)
    if (!intervals) {
      intervals = []
      this.#rooms.set(roomId, intervals)
    }
    return intervals
  }
}

export function sees(intervals: readonly Interval[] | undefined, seq: number): boolean {
  if (intervals) for (const interval of intervals) if (isWithin(interval, seq)) return true
  return false
}

function isWithin({ from, to }: Interval, seq: number): boolean {
  return from < seq && (to === undefined || seq < to)
}

/** @returns for each of `people`, in their order, the intervals that reach beyond `since` */
export async function readMemberships(
  db: Queryable,
  people: readonly { userId: string; since: number }[],
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
  return people.map(({ since }, place) => new Memberships(since, rowsOf[place] ?? []))
}
