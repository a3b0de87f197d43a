/** Pages of the log for a projection: out of this node's memory where it has them, else from the database. */
import type { Queryable } from '../infra/postgres.ts'
import type { LogEvent } from './event.ts'
import { type LogPage, PAGE_BYTES, readEvents } from './log-repository.ts'
import type { Tail } from './tail.ts'

/** Events after `after`, in order, at most `limit`. */
export type LogReader = (after: number, limit: number) => Promise<LogPage>

/** For what may do without the events of a room that is deleted already, which memory forgets at once. */
export function createLogReader(db: Queryable, tail: Tail): LogReader {
  return async (after, limit) => {
    const isInMemory = after >= tail.recent.floor && after < tail.position
    return isInMemory ? fitting(tail.recent.after(after, limit), limit) : readEvents(db, after, limit)
  }
}

function fitting(events: LogEvent[], limit: number): LogPage {
  let bytes = 0
  const end = events.findIndex(({ body }) => {
    bytes += body.length
    return bytes > PAGE_BYTES
  })
  if (end > 0) return { events: events.slice(0, end), more: true }
  return { events, more: events.length === limit }
}
