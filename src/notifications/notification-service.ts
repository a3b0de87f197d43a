/** What a client missed, by REST: the same events, in the same order, as its stream would replay. */
import type { Queryable } from '../infra/postgres.ts'
import { encodeCursor } from '../log/cursor.ts'
import type { LogEvent } from '../log/event.ts'
import { eventJson, resyncJson } from '../log/event-json.ts'
import { type LogState, readEventsOf, readLogState, seqBefore } from '../log/log-repository.ts'
import { resume } from '../log/resume.ts'
import type { CurrentUser } from '../users/user.ts'

export type NotificationPage = {
  /** JSON of the events, oldest first. */
  json: string
  /** The cursor to go on from, where there may be more. */
  next: string | undefined
}

export type Since = { lastEventId: string } | { time: Date }

const PAGE = 1_000
/** Of bodies; a page of large events ends early. */
const PAGE_BYTES = 8 * 1024 * 1024

export class NotificationService {
  readonly #db: Queryable

  constructor(db: Queryable) {
    this.#db = db
  }

  /** The present moment: whatever a client reads after this, its stream from here completes. */
  async cursor(): Promise<string> {
    const { epoch, headSeq } = await readLogState(this.#db)
    return encodeCursor({ epoch, seq: headSeq })
  }

  async since(user: CurrentUser, since: Since): Promise<NotificationPage> {
    const before = await readLogState(this.#db)
    const from = 'time' in since ? { after: await seqBefore(this.#db, since.time) } : resume(since.lastEventId, before)
    if ('resync' in from) return { json: `[${resync(from.resync, before)}]`, next: undefined }
    const page = { after: from.after, upTo: before.headSeq, limit: PAGE, bytes: PAGE_BYTES }
    const { events, more } = await readEventsOf(this.#db, user.id, page)
    const after = await readLogState(this.#db)
    const frames = events.map((event) => jsonFor(user, event, before.epoch))
    const complete =
      'time' in since ? after.trimmedSeq === 0 || after.trimmedAt < since.time : after.trimmedSeq <= from.after
    if (!complete) {
      // By time, what is left follows; by cursor, the client reloads.
      if (!('time' in since)) return { json: `[${resync('TOO_OLD', after)}]`, next: undefined }
      frames.unshift(resync('TOO_OLD', { ...after, headSeq: after.trimmedSeq }))
    }
    const last = events.at(-1)
    const next = more && last ? encodeCursor({ epoch: before.epoch, seq: last.seq }) : undefined
    return { json: `[${frames.join(',')}]`, next }
  }
}

function jsonFor(user: CurrentUser, event: LogEvent, epoch: string): string {
  return eventJson(event, epoch, event.senderId === user.id)
}

function resync(reason: Parameters<typeof resyncJson>[0], state: LogState): string {
  return resyncJson(reason, encodeCursor({ epoch: state.epoch, seq: state.headSeq }))
}
