/** The hub where it cannot go on: nobody misses an event in silence. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Queryable } from '../../src/infra/postgres.ts'
import { EventType, type LogEvent } from '../../src/log/event.ts'
import { Tail } from '../../src/log/tail.ts'
import { Hub } from '../../src/streams/hub.ts'
import { createStreamOpener } from '../../src/streams/open-stream.ts'
import type { Stream } from '../../src/streams/stream.ts'
import { logEvent } from '../support/log-event.ts'

const ALICE = '11111111-1111-4111-8111-111111111111'
const BOB = '22222222-2222-4222-8222-222222222222'
const ROOM = '33333333-3333-4333-8333-333333333333'

let events: LogEvent[]
let tail: Tail
let hub: Hub
let failures: unknown[]

/** Alice is in the room, bob is in none. */
const db: Queryable = {
  async query<Row extends object>(name: string, _text: string, values: unknown[] = []) {
    const answers: Record<string, () => object[]> = {
      'log.state': () => [{ epoch: 'e', trimmedSeq: 0, headSeq: events.at(-1)?.seq ?? 0 }],
      'log.memberships': () =>
        (values[0] as string[]).flatMap((userId, place) =>
          userId === ALICE ? [{ place, roomId: ROOM, from: 0, to: null }] : [],
        ),
      'log.read': () => events.filter(({ seq }) => seq > Number(values[0])),
    }
    return (answers[name]?.() ?? []) as Row[]
  },
}

class TestStream implements Stream {
  readonly userId: string
  readonly waiting = 0
  readonly unread = 0
  readonly frames: string[] = []
  closed = false
  #onClose: ((stream: Stream) => void)[] = []

  constructor(userId: string) {
    this.userId = userId
  }

  get seqs(): number[] {
    return this.frames.flatMap((frame) => /"seq":(\d+)/.exec(frame)?.[1] ?? []).map(Number)
  }

  write(frame: Buffer): void {
    if (!this.closed) this.frames.push(frame.toString())
  }
  async drained(): Promise<void> {}
  end(): void {
    this.closed = true
    for (const listener of this.#onClose) listener(this)
  }
  destroy(): void {
    this.end()
  }
  onClose(listener: (stream: Stream) => void): void {
    if (this.closed) listener(this)
    else this.#onClose.push(listener)
  }
}

beforeEach(() => start(60))
afterEach(async () => {
  vi.useRealTimers()
  await hub.close()
  await tail.stop()
})

async function start(keepAliveSeconds: number): Promise<void> {
  events = []
  failures = []
  const silent = () => {}
  tail = new Tail(
    db,
    { tailRead: silent, tailFailed: silent, logReplaced: silent },
    { memoryBytes: 1e6, isWoken: () => true },
  )
  await tail.start()
  hub = new Hub(
    tail,
    { keepAliveSeconds, maxBufferedBytes: 1e6, maxPerUser: 5, maxPerNode: 10 },
    {
      streamOpened: silent,
      streamClosed: silent,
      streamOverflowed: silent,
      framesWritten: silent,
      deliveryFailed: (error) => failures.push(error),
    },
  )
}

async function open(userId: string): Promise<TestStream> {
  const stream = new TestStream(userId)
  await createStreamOpener(db, tail, hub).open(stream, undefined)
  return stream
}

async function append(event: LogEvent): Promise<void> {
  events.push(event)
  await tail.reached(event.seq)
}

const said = (seq: number) => logEvent(seq, { type: EventType.UserReadChat, roomId: ROOM, body: '{"a":1}' })
/** A message without an id: no frame can be made of it. */
const spoilt = (seq: number) => logEvent(seq, { roomId: ROOM })

test('an event that cannot be delivered ends every stream, and no later one comes on them', async () => {
  const streams = [await open(ALICE), await open(BOB)]
  await append(said(1))
  await append(spoilt(2))
  await append(said(3))
  expect(failures).toEqual([expect.objectContaining({ message: expect.stringContaining('no message') })])
  expect(streams.map(({ closed }) => closed)).toEqual([true, true])
  expect(streams.map(({ seqs }) => seqs)).toEqual([[1], []])
  const [alice] = [await open(ALICE)]
  await append(said(4))
  expect([alice.closed, alice.seqs]).toEqual([false, [4]])
})

test.each([
  [5, 60],
  [7, 56],
  [25, 50],
  [45, 45],
  [300, 300],
])('with a keep-alive each %i seconds the cursor comes each %i', async (keepAliveSeconds, cursorSeconds) => {
  await hub.close()
  await tail.stop()
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  await start(keepAliveSeconds)
  const stream = await open(ALICE)
  await append(said(1))
  const before = stream.frames.length
  vi.advanceTimersByTime(cursorSeconds * 1_000 - 1)
  expect(stream.frames.slice(before)).toEqual(Array(cursorSeconds / keepAliveSeconds - 1).fill(': keep-alive\n\n'))
  vi.advanceTimersByTime(1)
  expect(stream.frames.at(-1)).toBe(hub.frames.cursor(1).toString())
})
