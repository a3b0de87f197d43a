/** Who sees which events of a room: between their NewRoom and their LeaveRoom, however often those are heard. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EventType, type LogEvent } from '../../src/log/event.ts'
import { Memberships } from '../../src/log/memberships.ts'
import { logEvent } from '../support/log-event.ts'

const join = (seq: number, roomId = 'room') => logEvent(seq, { type: EventType.NewRoom, roomId, recipients: ['alice'] })
const leave = (seq: number, roomId = 'room') =>
  logEvent(seq, { type: EventType.LeaveRoom, roomId, recipients: ['alice'] })
const end = (seq: number, roomId = 'room') => logEvent(seq, { type: EventType.RoomDeleted, roomId, recipients: [] })

const seen = (memberships: Memberships, upTo: number, roomId = 'room') =>
  Array.from({ length: upTo }, (_, i) => i + 1).filter((seq) => memberships.sees(roomId, seq))

describe('a member sees', () => {
  it('what lies between the seqs of the row, both excluded', () => {
    const memberships = new Memberships(0, [{ roomId: 'room', from: 2, to: 5 }])
    expect(seen(memberships, 8)).toEqual([3, 4])
    expect([...memberships.rooms.keys()]).toEqual(['room'])
  })

  it('everything after the row of an open membership', () => {
    const memberships = new Memberships(0, [{ roomId: 'room', from: 2, to: null }])
    expect(seen(memberships, 5)).toEqual([3, 4, 5])
    expect([...memberships.rooms.keys()]).toEqual(['room'])
  })

  it('nothing of a room that they were never in', () => {
    expect(new Memberships(0, []).sees('room', 1)).toBe(false)
  })

  it('what they were there for, also after coming back', () => {
    const memberships = new Memberships(0, [])
    for (const event of [join(2), leave(5), join(8)]) memberships.apply(event)
    expect(seen(memberships, 10)).toEqual([3, 4, 9, 10])
    expect([...memberships.rooms.keys()]).toEqual(['room'])
  })

  it('nothing of a room that is gone', () => {
    const memberships = new Memberships(0, [{ roomId: 'other', from: 0, to: null }])
    for (const event of [join(2), leave(5), end(6)]) memberships.apply(event)
    expect(seen(memberships, 10)).toEqual([])
    expect([...memberships.rooms.keys()]).toEqual(['other'])
  })
})

describe('other events', () => {
  it.each([
    ['a message', logEvent(3)],
    ['a leave without a membership', leave(3, 'other')],
    ['an event about no room', logEvent(3, { type: EventType.FriendRequestReceived, roomId: null })],
  ])('%s changes nothing', (_, event) => {
    const memberships = new Memberships(0, [{ roomId: 'room', from: 2, to: null }])
    memberships.apply(event)
    expect(seen(memberships, 5)).toEqual([3, 4, 5])
    expect(memberships.sees('other', 4)).toBe(false)
  })
})

describe('hearing again what is known', () => {
  /** A person's comings and goings, each room's in turn, as the log would have them. */
  const history = fc.array(fc.constantFrom('one', 'two'), { maxLength: 12 }).map((rooms) => {
    const inside = new Set<string>()
    return rooms.map((roomId, i): LogEvent => {
      const seq = 2 * i + 1
      if (inside.delete(roomId)) return leave(seq, roomId)
      inside.add(roomId)
      return join(seq, roomId)
    })
  })

  /** The rows that the database has once these events are committed. */
  function rowsOf(events: LogEvent[]) {
    const rows: { roomId: string; from: number; to: number | null }[] = []
    for (const { type, roomId, seq } of events) {
      if (type === EventType.NewRoom) rows.push({ roomId: roomId ?? '', from: seq, to: null })
      else for (const row of rows) if (row.roomId === roomId && row.to === null) row.to = seq
    }
    return rows
  }

  const view = (memberships: Memberships) => ({
    one: seen(memberships, 30, 'one'),
    two: seen(memberships, 30, 'two'),
    rooms: [...memberships.rooms.keys()].sort(),
  })

  it('changes nothing, wherever the rows were read and the feeding begins', () => {
    fc.assert(
      fc.property(history, fc.nat(12), fc.nat(12), (events, known, fed) => {
        const memberships = new Memberships(0, rowsOf(events.slice(0, Math.max(known, fed))))
        for (const event of events.slice(Math.min(known, fed))) memberships.apply(event)
        expect(view(memberships)).toEqual(view(new Memberships(0, rowsOf(events))))
      }),
    )
  })

  it('twice is as good as once', () => {
    fc.assert(
      fc.property(history, (events) => {
        const memberships = new Memberships(0, [])
        for (const event of [...events, ...events]) memberships.apply(event)
        expect(view(memberships)).toEqual(view(new Memberships(0, rowsOf(events))))
      }),
    )
  })
})
