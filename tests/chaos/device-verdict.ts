/** What a device was told against what it had to be told, room by room. */
import type { Device, FirstLoad } from './device.ts'
import type { Model } from './model.ts'
import type { Mark, RoomRecord } from './room-record.ts'
import type { RoomSight, Sight } from './sight.ts'

type Judged = Pick<Device, 'person' | 'loads' | 'sights'>

/** Both ends included. */
type Range = [from: number, to: number]

/**
 * Once every room's timeline is known as a whole.
 * @param kept the rooms that have not come to their end
 */
export function judgeDevices(model: Model, devices: readonly Judged[], kept: ReadonlySet<RoomRecord>): void {
  const rooms = roomsByPerson(model)
  for (const { person, loads, sights } of devices) {
    for (const load of loads) judgeLoad(model, load)
    for (const sight of sights) {
      // Also of rooms that it should have been told of and was not.
      for (const record of new Set([...(rooms.get(person.id) ?? []), ...sight.rooms.keys()])) {
        const seen = sight.rooms.get(record) ?? { stays: [], reads: 0, sumOfReads: 0 }
        if (kept.has(record)) judgeKeptRoom(model, sight, record, seen)
        else judgeEndedRoom(model, sight, record, seen)
      }
    }
  }
}

function roomsByPerson(model: Model): Map<string, RoomRecord[]> {
  const rooms = new Map(model.people.map(({ id }): [string, RoomRecord[]] => [id, []]))
  for (const record of model.rooms.values()) for (const id of record.people) rooms.get(id)?.push(record)
  return rooms
}

function judgeKeptRoom(model: Model, sight: Sight, record: RoomRecord, seen: RoomSight): void {
  const { from, through, person } = sight
  const about = `of room ${record.id} for ${person.name} in (${from}, ${through}]`
  const [low, high] = [record.firstAfter(from), record.firstAfter(through) - 1]
  const wanted = record
    .intervalsOf(person.id)
    .map(({ joined, left }): Range => [Math.max(joined + 1, low), Math.min(left - 1, high)])
    .filter(([first, last]) => first <= last)
  const found = seen.stays.filter(({ first }) => first > 0).map(({ first, last }): Range => [first, last])
  const missing = without(wanted, found)
  if (missing.length > 0) model.findings.fault('lost', `messages ${describe(missing)} ${about}`, sizeOf(missing))
  const foreign = without(found, wanted)
  if (foreign.length > 0)
    model.findings.fault('delivered to a non-member', `messages ${describe(foreign)} ${about}`, sizeOf(foreign))
  judgeMarks(model, sight, record, seen, () => true)
  judgeReads(model, sight, record, seen)
}

/**
 * A device that was away when the room ended is told of its LeaveRoom alone: what came is a beginning of each stay,
 * without a hole.
 */
function judgeEndedRoom(model: Model, sight: Sight, record: RoomRecord, seen: RoomSight): void {
  for (const { opened, first } of seen.stays) {
    const before = record.seqOf(first - 1)
    if (first > 1 && before !== undefined && before > (opened ?? sight.from)) {
      const example = `message ${first - 1} of room ${record.id}, before the first that ${sight.person.name} had`
      model.findings.fault('lost', example)
    }
  }
  judgeMarks(model, sight, record, seen, ({ joined }) => !joined)
}

/** What another device of theirs was told of. */
function judgeMarks(
  model: Model,
  { person, from, through }: Sight,
  record: RoomRecord,
  { stays }: RoomSight,
  isWanted: (mark: Mark) => boolean,
): void {
  const found = new Set(stays.flatMap(({ opened, closed }) => [opened, closed]))
  const wanted = record.marksOf(person.id).filter(({ seq }) => seq > from && seq <= through)
  for (const mark of wanted.filter(isWanted)) {
    if (found.has(mark.seq)) continue
    const what = mark.joined ? 'NewRoom' : 'LeaveRoom'
    model.findings.fault('lost', `${what} ${mark.seq} of room ${record.id} for ${person.name} in (${from}, ${through}]`)
  }
}

function judgeReads(model: Model, sight: Sight, record: RoomRecord, seen: RoomSight): void {
  const { from, through, person } = sight
  const memberships = intervalsBySeq(record.marksOf(person.id))
  const wanted = [...record.reads].filter(
    (seq) => seq > from && seq <= through && memberships.some(([opened, closed]) => opened < seq && seq < closed),
  )
  const missing = wanted.length - seen.reads
  const sum = wanted.reduce((total, seq) => total + seq, 0)
  const example = `${seen.reads} UserReadChat instead of ${wanted.length} of room ${record.id} for ${person.name} in (${from}, ${through}]`
  if (missing < 0) model.findings.fault('delivered to a non-member', example, -missing)
  else if (missing > 0 || sum !== seen.sumOfReads) model.findings.fault('lost', example, Math.max(1, missing))
}

function judgeLoad(model: Model, { record, from, newest }: FirstLoad): void {
  const next = record.seqOf(newest + 1)
  if (next === undefined || next > from || record.mayEnd) return
  const example = `the timeline of room ${record.id} began at ${newest}, read after cursor ${from}; ${newest + 1} has seq ${next}`
  model.findings.fault('wrong in the timeline', example)
}

function intervalsBySeq(marks: Mark[]): Range[] {
  const intervals: Range[] = []
  for (const { seq, joined } of marks) {
    const last = intervals.at(-1)
    if (joined) intervals.push([seq, Infinity])
    else if (last) last[1] = seq
  }
  return intervals
}

/** What `ranges` have and `others` have not; both are in order and without overlaps. */
function without(ranges: Range[], others: Range[]): Range[] {
  let left = ranges
  for (const [from, to] of others) {
    left = left.flatMap(([first, last]): Range[] => {
      if (to < first || from > last) return [[first, last]]
      const parts: Range[] = [
        [first, from - 1],
        [to + 1, last],
      ]
      return parts.filter(([low, high]) => low <= high)
    })
  }
  return left
}

const sizeOf = (ranges: Range[]) => ranges.reduce((size, [first, last]) => size + last - first + 1, 0)
const describe = (ranges: Range[]) =>
  ranges.map(([first, last]) => (first === last ? first : `${first}–${last}`)).join(', ')
