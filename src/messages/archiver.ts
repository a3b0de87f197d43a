/** The archive projection: copies messages out of the log into the message store, and erases deleted rooms there. */
import type { Queryable } from '../infra/postgres.ts'
import { EventType, type LogEvent } from '../log/event.ts'
import { messageOf } from '../log/event-json.ts'
import type { LogReader } from '../log/log-reader.ts'
import type { Projection } from '../log/projector.ts'
import type { MessageStore } from './message-store.ts'

/** The name of its position; timelines and the log's retention read it. */
export const ARCHIVE = 'archive'

const ERASE_SLICE = 5_000

export function createArchive(db: Queryable, read: LogReader, store: MessageStore): Projection {
  return {
    name: ARCHIVE,
    read,
    ...(store.settling && { settling: store.settling }),
    async apply(events) {
      let messages: LogEvent[] = []
      for (const event of events) {
        if (event.roomSeq !== null) messages.push(event)
        if (event.type !== EventType.RoomDeleted || event.roomId === null) continue
        // In the log's order: what was said before the room's end is stored before it is erased.
        await append(store, messages)
        messages = []
        await store.deleteRoom(event.roomId, event.loggedAt)
        await eraseRoom(db, event.roomId, event.seq)
      }
      await append(store, messages)
    },
  }
}

async function append(store: MessageStore, events: LogEvent[]): Promise<void> {
  if (events.length > 0) await store.append(events.map(messageOf))
}

/** Takes a deleted room's events out of the log, but for the LeaveRoom that tells its people. */
async function eraseRoom(db: Queryable, roomId: string, upTo: number): Promise<void> {
  for (;;) {
    const erased = await db.query(
      'log.erase-room',
      `delete from event where seq = any (array(
        select seq from event where room_id = $1 and seq < $2 and room_seq is not null
        union all
        select seq from event where room_id = $1 and seq < $2 and room_seq is null and type <> ${EventType.LeaveRoom}
        limit $3)) returning 1`,
      [roomId, upTo, ERASE_SLICE],
    )
    if (erased.length < ERASE_SLICE) return
  }
}
