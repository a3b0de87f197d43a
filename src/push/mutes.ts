/** Who wants no pushes of an event's room. */
import type { Queryable } from '../infra/postgres.ts'
import { EventType, type LogEvent } from '../log/event.ts'
import { listMuted, type MuteRow } from './push-repository.ts'

export class Mutes {
  readonly #byRoom = new Map<string, MuteRow[]>()

  private constructor(rows: MuteRow[]) {
    for (const row of rows) {
      const mutes = this.#byRoom.get(row.roomId)
      if (mutes) mutes.push(row)
      else this.#byRoom.set(row.roomId, [row])
    }
  }

  /** As they are now, one statement for all of these events, the oldest first. */
  static async of(db: Queryable, events: readonly LogEvent[]): Promise<Mutes> {
    const rooms = new Set(events.filter(isForRoom).map(({ roomId }) => roomId ?? ''))
    const since = events[0]?.loggedAt
    return new Mutes(rooms.size === 0 || !since ? [] : await listMuted(db, [...rooms], since))
  }

  /** Whose mute of its room was not over when it was logged. */
  whoMuted(event: LogEvent): string[] {
    if (!isForRoom(event)) return []
    const mutes = this.#byRoom.get(event.roomId ?? '') ?? []
    const loggedAt = event.loggedAt.getTime()
    return mutes.filter(({ until }) => until > loggedAt).map(({ userId }) => userId)
  }
}

/** For whoever is in its room, without recipients of its own. */
export const isForRoom = (event: LogEvent) => event.type === EventType.ChatMessage && event.roomId !== null
