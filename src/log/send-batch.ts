/** Sends, appended in batches: while one batch commits, the sends that arrive gather into the next. */
import { errorCode, type Queryable } from '../infra/postgres.ts'
import { conflict, forbidden, notFound, unavailable } from '../shared/app-error.ts'
import type { MessageType } from './event.ts'

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

type Waiting = Send & { since: number; resolve: (sent: Sent) => void; reject: (error: unknown) => void }
type Outcome = { n: number; status: number } & Sent

const APPENDED = 0
const APPENDED_BEFORE = 1
const ANOTHER_MESSAGE = 2
const NO_ROOM = 3

export function createSendBatches(db: Queryable, observe: BatchObserver, onCommit: (seq: number) => void): SendBatches {
  const waiting: Waiting[] = []
  let running: Promise<void> | undefined

  async function drain(): Promise<void> {
    // One turn of the event loop, so that requests read in the same turn share the first batch.
    await new Promise((resolve) => setImmediate(resolve))
    while (waiting.length > 0) await appendBatch(takeBatch(waiting))
    running = undefined
  }

  async function appendBatch(batch: Waiting[]): Promise<void> {
    const started = performance.now()
    try {
      const outcomes = await appendSends(db, batch)
      onCommit(outcomes.reduce((newest, { seq }) => Math.max(newest, seq), 0))
      observe.batchAppended(batch.length, started - (batch[0]?.since ?? started), performance.now() - started)
      settle(batch, outcomes)
    } catch (error) {
      if (batch.length > 1 && isDataError(error)) {
        // The data of one send failed the statement for all: halve until only that one fails.
        const half = batch.length >> 1
        await appendBatch(batch.slice(0, half))
        await appendBatch(batch.slice(half))
      } else {
        for (const send of batch) send.reject(error)
      }
    }
  }

  return {
    append(send) {
      if (waiting.length >= MAX_WAITING)
        return Promise.reject(unavailable('Too many messages are waiting to be stored.'))
      return new Promise((resolve, reject) => {
        waiting.push({ ...send, since: performance.now(), resolve, reject })
        running ??= drain()
      })
    },
    idle: async () => running,
  }
}

/** The oldest sends that fit; one (sender, client message id) at most once, as append_sends demands. */
function takeBatch(waiting: Waiting[]): Waiting[] {
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
  return waiting.splice(0, count)
}

function appendSends(db: Queryable, batch: Send[]): Promise<Outcome[]> {
  return db.query<Outcome>(
    'log.append-sends',
    `select n, status, seq, room_seq as "roomSeq", message_id as "messageId", created_at as "createdAt"
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

function settle(batch: Waiting[], outcomes: Outcome[]): void {
  for (const { n, status, ...sent } of outcomes) {
    const send = batch[n - 1]
    if (!send) continue
    if (status === APPENDED || status === APPENDED_BEFORE) send.resolve(sent)
    else if (status === ANOTHER_MESSAGE) send.reject(conflict('clientMessageId was used for another message.'))
    else if (status === NO_ROOM) send.reject(notFound('Room not found.'))
    else send.reject(forbidden('You are not a member of this room.'))
  }
}

/** Data exceptions, integrity violations and program limits: SQLSTATE classes 22, 23 and 54. */
function isDataError(error: unknown): boolean {
  return /^(22|23|54)/.test(errorCode(error) ?? '')
}
