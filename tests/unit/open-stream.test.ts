/** A stream that opens while the database is ahead of this node's tail: each event is judged by its own place in the log. */
import { afterEach, expect, test } from 'vitest'
import type { Queryable } from '../../src/infra/postgres.ts'
import { encodeCursor } from '../../src/log/cursor.ts'
import { EventType, type LogEvent } from '../../src/log/event.ts'
import { Tail } from '../../src/log/tail.ts'
import { Hub } from '../../src/streams/hub.ts'
import { createStreamOpener } from '../../src/streams/open-stream.ts'
import type { Stream } from '../../src/streams/stream.ts'
import { logEvent } from '../support/log-event.ts'

const PERSON = '11111111-1111-4111-8111-111111111111'
const ROOM = '22222222-2222-4222-8222-222222222222'

let hub: Hub
let tail: Tail
afterEach(async () => {
  hub.close()
  await tail.stop()
})

/** What the database holds, which the tail, started at seq 5, has not read. */
type Ahead = {
  memberships: { roomId: string; from: number; to: number | null }[]
  events: LogEvent[]
  /** Of a stream that resumes: after which event, and what the database answers of the person's own. */
  resumes?: { after: number; replayed: () => Promise<LogEvent[]> }
  /** How far one look of the tail reaches. */
  page?: number
}

async function openStream({ memberships, events, resumes, page = 100 }: Ahead): Promise<() => number[]> {
  let headSeq = 5
  const answers: Record<string, (values: unknown[]) => object[] | Promise<object[]>> = {
    'log.state': () => [{ epoch: 'e', trimmedSeq: 0, headSeq }],
    // A room's go with it.
    'log.memberships': () =>
      memberships
        .filter(({ to }) => to === null || !resumes || tail.position < to)
        .map((interval) => ({ place: 0, ...interval })),
    'log.read': ([after]) => events.filter(({ seq }) => seq > Number(after)).slice(0, page),
    'log.read-of': () => resumes?.replayed() ?? [],
  }
  const db: Queryable = {
    query: async <Row extends object>(name: string, _text: string, values: unknown[] = []) =>
      ((await answers[name]?.(values)) ?? []) as Row[],
  }
  const silent = () => {}
  tail = new Tail(
    db,
    { tailRead: silent, tailFailed: silent, logReplaced: silent },
    { memoryBytes: 1e6, isWoken: () => true },
  )
  await tail.start()
  headSeq = events.at(-1)?.seq ?? headSeq
  hub = new Hub(
    tail,
    { keepAliveSeconds: 60, maxBufferedBytes: 1e6, maxPerUser: 1, maxPerNode: 10 },
    {
      streamOpened: silent,
      streamClosed: silent,
      streamOverflowed: silent,
      framesWritten: silent,
      deliveryFailed: silent,
    },
  )
  const frames: string[] = []
  const stream: Stream = {
    userId: PERSON,
    waiting: 0,
    unread: 0,
    closed: false,
    write: (frame) => void frames.push(frame.toString()),
    drained: async () => {},
    end: silent,
    destroy: silent,
    onClose: silent,
  }
  const lastEventId = resumes && encodeCursor({ epoch: 'e', seq: resumes.after })
  await createStreamOpener(db, tail, hub).open(stream, lastEventId)
  await tail.reached(events.at(-1)?.seq ?? 0)
  return () => frames.flatMap((frame) => /"seq":(\d+)/.exec(frame)?.[1] ?? []).map(Number)
}

const said = (seq: number) => logEvent(seq, { type: EventType.UserReadChat, roomId: ROOM })
const told = (seq: number, type: EventType) => logEvent(seq, { type, roomId: ROOM, recipients: [PERSON] })

test('who has left by then still gets what was said before', async () => {
  const received = await openStream({
    memberships: [{ roomId: ROOM, from: 1, to: 8 }],
    events: [said(7), told(8, EventType.LeaveRoom), said(9)],
  })
  expect(received()).toEqual([7, 8])
})

test('who has joined by then gets nothing from before', async () => {
  const received = await openStream({
    memberships: [{ roomId: ROOM, from: 8, to: null }],
    events: [said(7), told(8, EventType.NewRoom), said(9)],
  })
  expect(received()).toEqual([8, 9])
})

test('who has left and come back by then misses only what was said meanwhile', async () => {
  const received = await openStream({
    memberships: [
      { roomId: ROOM, from: 1, to: 7 },
      { roomId: ROOM, from: 9, to: null },
    ],
    events: [said(6), told(7, EventType.LeaveRoom), said(8), told(9, EventType.NewRoom), said(10)],
  })
  expect(received()).toEqual([6, 7, 9, 10])
})

test('of a room that was erased while they were away nothing but its end is left', async () => {
  const received = await openStream({
    memberships: [{ roomId: ROOM, from: 1, to: 8 }],
    events: [said(6), logEvent(7, { type: EventType.RoomDeleted, roomId: ROOM }), told(8, EventType.LeaveRoom)],
    page: 1,
    // The tail had asked for the sixth before it was erased, too.
    resumes: { after: 2, replayed: () => tail.reached(6).then(() => []) },
  })
  expect(received()).toEqual([8])
})
