/** The log's newest part in memory: complete above its floor, bounded in bytes, and without what was deleted. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EventType, type LogEvent } from '../../src/log/event.ts'
import { RecentLog } from '../../src/log/recent-log.ts'
import { logEvent } from '../support/log-event.ts'

const EVERYTHING = Number.POSITIVE_INFINITY
const seqs = (events: LogEvent[]) => events.map(({ seq }) => seq)

function filled(count: number, maxBytes: number, fields: Partial<LogEvent> = {}): RecentLog {
  const recent = new RecentLog(0, maxBytes)
  for (let seq = 1; seq <= count; seq++) recent.push(logEvent(seq, fields))
  return recent
}

describe('recent events', () => {
  it('are given in order, after a seq, as many as asked for', () => {
    const recent = new RecentLog(10, 1_000_000)
    for (const seq of [11, 12, 15, 20]) recent.push(logEvent(seq))
    expect(seqs(recent.after(10, EVERYTHING))).toEqual([11, 12, 15, 20])
    expect(seqs(recent.after(12, EVERYTHING))).toEqual([15, 20])
    expect(seqs(recent.after(13, EVERYTHING))).toEqual([15, 20])
    expect(seqs(recent.after(10, 2))).toEqual([11, 12])
    expect(recent.after(20, EVERYTHING)).toEqual([])
    expect(recent.after(99, EVERYTHING)).toEqual([])
    expect(recent.floor).toBe(10)
  })

  it('give way to newer ones past the limit, from the oldest on', () => {
    const recent = filled(1_000, 100_000)
    expect(recent.floor).toBeGreaterThan(800)
    expect(seqs(recent.after(recent.floor, EVERYTHING))).toEqual(
      Array.from({ length: 1_000 - recent.floor }, (_, i) => recent.floor + 1 + i),
    )
  })

  it.each([
    ['bodies', { body: 'x'.repeat(10_000) }],
    ['previews', { preview: 'x'.repeat(10_000) }],
    ['recipients', { recipients: Array.from({ length: 300 }, () => 'x') }],
    ['characters, as bytes', { body: 'я'.repeat(5_000) }],
  ])('count their %s', (_, fields) => {
    const recent = filled(100, 400_000, fields)
    expect(100 - recent.floor).toBeLessThan(21)
    expect(100 - recent.floor).toBeGreaterThan(8)
  })

  it('are none, and the floor is the newest, where one alone is too large', () => {
    const recent = new RecentLog(0, 2_000)
    recent.push(logEvent(1))
    recent.push(logEvent(2, { body: 'x'.repeat(2_000) }))
    expect(recent.floor).toBe(2)
    recent.push(logEvent(3))
    expect(seqs(recent.after(2, EVERYTHING))).toEqual([3])
  })

  it('are complete above the floor whatever their sizes', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 5_000 }), { maxLength: 200 }), (sizes) => {
        const recent = new RecentLog(0, 20_000)
        for (const [i, size] of sizes.entries()) recent.push(logEvent(i + 1, { body: 'x'.repeat(size) }))
        const kept = seqs(recent.after(recent.floor, EVERYTHING))
        expect(kept).toEqual(Array.from({ length: sizes.length - recent.floor }, (_, i) => recent.floor + 1 + i))
        const bytes = kept.reduce((sum, seq) => sum + (sizes[seq - 1] ?? 0), 0)
        expect(bytes).toBeLessThanOrEqual(20_000)
      }),
    )
  })
})

describe('a deleted room', () => {
  it('leaves its LeaveRoom alone, and other rooms as they were', () => {
    const recent = new RecentLog(0, 1_000_000)
    recent.push(logEvent(1, { type: EventType.NewRoom, recipients: ['alice'] }))
    recent.push(logEvent(2))
    recent.push(logEvent(3, { roomId: 'other' }))
    recent.push(logEvent(4, { type: EventType.FriendRequestReceived, roomId: null, recipients: ['alice'] }))
    recent.push(logEvent(5, { type: EventType.LeaveRoom, recipients: ['alice'] }))
    recent.push(logEvent(6, { type: EventType.RoomDeleted, recipients: [] }))
    expect(seqs(recent.after(0, EVERYTHING))).toEqual([3, 4, 5, 6])
  })

  it('gives its bytes back', () => {
    const recent = filled(30, 200_000, { body: 'x'.repeat(2_000) })
    recent.push(logEvent(31, { type: EventType.RoomDeleted, recipients: [] }))
    for (let seq = 32; seq <= 60; seq++) recent.push(logEvent(seq, { roomId: 'other', body: 'x'.repeat(2_000) }))
    expect(recent.floor).toBe(0)
  })

  it('of which there are many costs what they had, not what the log has', () => {
    const recent = new RecentLog(0, 1_000_000_000)
    let seq = 0
    while (seq < 100_000) recent.push(logEvent(++seq, { roomId: `kept ${seq % 100}` }))
    const started = performance.now()
    for (let n = 0; n < 2_000; n++) {
      recent.push(logEvent(++seq, { roomId: `gone ${n}` }))
      recent.push(logEvent(++seq, { type: EventType.RoomDeleted, roomId: `gone ${n}`, recipients: [] }))
    }
    // A pass over all of it for each would take seconds.
    expect(performance.now() - started).toBeLessThan(1_000)
    expect(recent.after(0, EVERYTHING)).toHaveLength(102_000)
  })

  it('leaves what a log without an index would', () => {
    const step = fc.record({
      roomId: fc.constantFrom('a', 'b', 'c', null),
      type: fc.constantFrom(EventType.ChatMessage, EventType.LeaveRoom, EventType.RoomDeleted, EventType.NewRoom),
      size: fc.integer({ min: 0, max: 3_000 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 20 }), (steps, limit) => {
        const recent = new RecentLog(0, 40_000)
        let model: LogEvent[] = []
        for (const [i, { size, ...fields }] of steps.entries()) {
          const event = logEvent(i + 1, { ...fields, body: 'x'.repeat(size) })
          if (event.type === EventType.RoomDeleted && event.roomId)
            model = model.filter(({ roomId, type }) => roomId !== event.roomId || !isErased(type))
          model.push(event)
          recent.push(event)
          const kept = model.filter(({ seq }) => seq > recent.floor)
          expect(seqs(recent.after(recent.floor, EVERYTHING))).toEqual(seqs(kept))
          expect(seqs(recent.after(recent.floor, limit))).toEqual(seqs(kept.slice(0, limit)))
          expect(kept.reduce((sum, { body }) => sum + body.length, 0)).toBeLessThanOrEqual(20_000)
        }
      }),
    )
  })
})

describe('events among rooms', () => {
  const ROOMS = ['a', 'b', 'c', 'd', null] as const

  it('are those of the rooms, and those that name their recipients, in order and within bounds', () => {
    const step = fc.record({
      roomId: fc.constantFrom(...ROOMS),
      type: fc.oneof(
        { arbitrary: fc.constantFrom(EventType.ChatMessage, EventType.NewRoom, EventType.LeaveRoom), weight: 30 },
        { arbitrary: fc.constant(EventType.RoomDeleted), weight: 1 },
      ),
      recipients: fc.option(fc.subarray(['alice', 'bob'])),
      size: fc.integer({ min: 0, max: 1_000 }),
    })
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 50, maxLength: 150 }),
        fc.subarray(['a', 'b', 'c', 'd', 'unknown']),
        fc.nat(100),
        fc.integer({ min: 50, max: 160 }),
        (steps, rooms, after, upTo) => {
          const recent = new RecentLog(0, 140_000)
          for (const [i, { size, ...fields }] of steps.entries())
            recent.push(logEvent(i + 1, { ...asWritten(fields), body: 'x'.repeat(size) }))
          const concerns = ({ roomId, recipients }: LogEvent) => recipients !== null || rooms.includes(roomId ?? '')
          const from = Math.max(after, recent.floor)
          const within = recent.after(from, EVERYTHING).filter(({ seq }) => seq <= upTo)
          const found = recent.among(new Set(rooms), from, upTo)
          expect(seqs(found.filter(concerns))).toEqual(seqs(within.filter(concerns)))
        },
      ),
    )
  })

  it('of a busy log cost what they are, not what the log has', () => {
    const recent = new RecentLog(0, 1_000_000_000)
    let looks = 0
    for (let seq = 1; seq <= 10_000; seq++) {
      const recipients = () => {
        looks++
        return null
      }
      recent.push(
        Object.defineProperty(logEvent(seq, { roomId: `room ${seq % 100}` }), 'recipients', { get: recipients }),
      )
    }
    looks = 0
    expect(recent.among(new Set(['room 7']), 0, EVERYTHING)).toHaveLength(100)
    expect(looks).toBeLessThanOrEqual(100)
  })

  it('end where so many places of the log end', () => {
    const recent = new RecentLog(10, 1_000_000)
    for (const seq of [11, 12, 15, 20]) recent.push(logEvent(seq))
    expect(recent.endOf(2, 10)).toBe(12)
    expect(recent.endOf(2, 13)).toBe(20)
    expect(recent.endOf(3, 13)).toBe(EVERYTHING)
  })
})

/** What outlives its room names its recipients. */
const asWritten = <Fields extends { type: EventType; recipients: string[] | null }>(fields: Fields): Fields =>
  isErased(fields.type) ? fields : { ...fields, recipients: fields.recipients ?? [] }

const isErased = (type: EventType) => type !== EventType.LeaveRoom && type !== EventType.RoomDeleted
