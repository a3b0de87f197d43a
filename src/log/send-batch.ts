/** Sends, appended in batches: while one batch commits, the sends that arrive gather into the next. */
import { createBatches } from '../infra/batches.ts'
import type { Queryable } from '../infra/postgres.ts'
import { conflict, forbidden, notFound, unavailable } from '../shared/app-error.ts'
import { EventType, type LogEvent, type MessageType } from './event.ts'

export type Send = {
  roomId: string
  senderId: string
  messageId: string
  clientMessageId: string | null
  messageType: MessageType
  /** JSON of the Body. */
  body: string
  /** JSON of the Preview. */
  preview: string
}

/** Where the send went; with a client message id that was sent before, where that one went. */
export type Sent = { seq: number; roomSeq: number; messageId: string; createdAt: Date }

export interface SendBatches {
  /**
   * @throws AppError CONTENT_NOT_FOUND no such room; INSUFFICIENT_PERMISSIONS not a member; CONFLICT the client message
   * id is another message's; SERVICE_UNAVAILABLE not known to be kept: may be sent again with its client message id
   */
  append(send: Send): Promise<Sent>
  /** Resolves when what was accepted is answered. */
  idle(): Promise<void>
}

export type BatchObserver = {
  /** `waitMs`: of the send that waited longest for its batch to start. */
  batchAppended(sends: number, waitMs: number, commitMs: number): void
}

const MAX_SENDS = 512
const MAX_BYTES = 1024 * 1024
/** More than this waiting means that the database does not keep up; refusing is kinder than a time-out. */
const MAX_WAITING = 20_000

type Outcome = { n: number; status: number; loggedAt: Date } & Sent

const APPENDED = 0
const APPENDED_BEFORE = 1
const ANOTHER_MESSAGE = 2
const NO_ROOM = 3

/** @param onCommit is given the events that were appended, in order; at least one */
export function createSendBatches(
  db: Queryable,
  observe: BatchObserver,
  onCommit: (events: LogEvent[]) => void,
): SendBatches {
  const batches = createBatches<Send, Sent>({
    // Whoever wants an order waits for the answer to the first; the others need not fail for it.
    inOrder: false,
    fitting,
    async run(sends, waitMs) {
      const started = performance.now()
      const outcomes = await appendSends(db, sends)
      const events = eventsOf(sends, outcomes)
      if (events.length > 0) onCommit(events)
      observe.batchAppended(sends.length, waitMs, performance.now() - started)
      const results: (Sent | Error)[] = []
      for (const outcome of outcomes) results[outcome.n - 1] = resultOf(outcome)
      return results
    },
  })
  return {
    append(send) {
      if (batches.waiting >= MAX_WAITING)
        return Promise.reject(unavailable('Too many messages are waiting to be stored.'))
      return batches.add(send)
    },
    idle: () => batches.idle(),
  }
}

/** One (sender, client message id) at most once, as append_sends demands. */
function fitting(waiting: Iterable<Send>): number {
  const ids = new Set<string>()
  let bytes = 0
  let count = 0
  for (const send of waiting) {
    bytes += send.body.length + send.preview.length
    const id = send.clientMessageId && `${send.senderId} ${send.clientMessageId}`
    if (count > 0 && (count === MAX_SENDS || bytes > MAX_BYTES || (id && ids.has(id)))) break
    if (id) ids.add(id)
    count++
  }
  return count
}

function appendSends(db: Queryable, batch: Send[]): Promise<Outcome[]> {
  return db.query<Outcome>(
    'log.append-sends',
    `select n, status, seq, room_seq as "roomSeq", message_id as "messageId", created_at as "createdAt",
      logged_at as "loggedAt"
    from append_sends($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::smallint[], $6::text[], $7::text[])`,
    [
      batch.map((send) => send.roomId),
      batch.map((send) => send.senderId),
      batch.map((send) => send.messageId),
      batch.map((send) => send.clientMessageId),
      batch.map((send) => send.messageType),
      batch.map((send) => send.body),
      batch.map((send) => send.preview),
    ],
  )
}

/** As the log has them now. */
function eventsOf(sends: Send[], outcomes: Outcome[]): LogEvent[] {
  const events: LogEvent[] = []
  for (const { n, status, seq, roomSeq, createdAt, loggedAt } of outcomes) {
    const send = sends[n - 1]
    if (status !== APPENDED || !send) continue
    const { roomId, messageId, senderId, clientMessageId, messageType, preview, body } = send
    events.push({
      seq,
      type: EventType.ChatMessage,
      roomId,
      recipients: null,
      roomSeq,
      messageId,
      senderId,
      clientMessageId,
      messageType,
      createdAt,
      preview,
      body,
      loggedAt,
    })
  }
  return events.sort((a, b) => a.seq - b.seq)
}

function resultOf({ status, seq, roomSeq, messageId, createdAt }: Outcome): Sent | Error {
  if (status === APPENDED || status === APPENDED_BEFORE) return { seq, roomSeq, messageId, createdAt }
  if (status === ANOTHER_MESSAGE) return conflict('clientMessageId was used for another message.')
  return status === NO_ROOM ? notFound('Room not found.') : forbidden('You are not a member of this room.')
}
