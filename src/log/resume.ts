/** Whether a client's cursor can be continued by this log. */
import type { Cursor } from './cursor.ts'
import { decodeCursor } from './cursor.ts'
import type { ResyncReason } from './event-json.ts'
import type { LogState } from './log-repository.ts'

export type Resume = { after: number } | { resync: ResyncReason }

export function resume(text: string, state: LogState): Resume {
  const cursor: Cursor | undefined = decodeCursor(text)
  if (!cursor) return { resync: 'UNKNOWN_CURSOR' }
  if (cursor.epoch !== state.epoch) return { resync: 'OTHER_LOG' }
  if (cursor.seq < state.trimmedSeq) return { resync: 'TOO_OLD' }
  if (cursor.seq > state.headSeq) return { resync: 'AHEAD_OF_LOG' }
  return { after: cursor.seq }
}
