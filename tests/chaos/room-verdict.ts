/** Every room as it is in the end: on every node, in the message store, and against what was answered and told. */
import type { Person } from '../support/person.ts'
import type { Random } from '../support/random.ts'
import { pickFrom } from './chance.ts'
import { Client } from './client.ts'
import type { Model } from './model.ts'
import type { Count, RoomRecord } from './room-record.ts'
import type { System } from './system.ts'
import { walkTimeline } from './timeline.ts'

/** Rooms looked at in the same moment. */
const AT_ONCE = 8

type KeptRoom = { id: string; members: string[] }

/** @returns the rooms that are there */
export async function judgeRooms(model: Model, system: System, random: Random): Promise<Set<RoomRecord>> {
  const { rows } = await system.service.sql.query<KeptRoom>(
    `select r.id, array(select p.user_id from chat_room_participant p
      where p.room_id = r.id and p.participant_state = 'Joined') as members from chat_room r`,
  )
  const rooms = [...rows]
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let room = rooms.pop(); room; room = rooms.pop()) await judgeRoom(model, system, random, room)
    }),
  )
  const kept = new Set(rows.map(({ id }) => model.record(id)))
  for (const record of model.rooms.values())
    if (!kept.has(record) && !record.mayEnd)
      model.findings.fault('lost', `room ${record.id} with ${record.head} messages`, Math.max(1, record.head))
  await judgeStore(model, system, kept)
  return kept
}

async function judgeRoom(model: Model, { nodes }: System, random: Random, { id, members }: KeptRoom): Promise<void> {
  const record = model.record(id)
  record.isSettled = true
  const known = record.head
  const readerId = pickFrom(random, members)
  const reader = model.people.find((person) => person.id === readerId)
  if (!reader) return model.findings.unexpected(`room ${id} has no member`)
  const heads = await Promise.all(nodes.map(({ url }) => headOn(model, record, reader, url, random)))
  for (const head of heads)
    if (head < known) model.findings.fault('lost', `messages ${head + 1}–${known} of room ${id}`, known - head)
  if (new Set(heads).size > 1)
    model.findings.fault('wrong in the timeline', `room ${id} ends at ${heads.join(', ')} on different nodes`)
  judgeMembers(model, record, members)
  judgeReads(model, record)
}

async function headOn(model: Model, record: RoomRecord, reader: Person, url: string, random: Random): Promise<number> {
  const client = new Client([url], random, model.findings)
  const { newest, refusal } = await walkTimeline(model, record, Infinity, async (path) => {
    return (await client.insist(reader, (device) => device.get(path))).answer
  })
  if (refusal) {
    const example = `room ${record.id} for its member ${reader.name} was answered ${refusal.status}`
    model.findings.fault('wrong in the timeline', example)
  }
  return newest
}

/** The room's messages, its members and what was answered tell the same of who came and went. */
function judgeMembers(model: Model, record: RoomRecord, members: string[]): void {
  for (const { id, name } of model.people) {
    const about = `${name} in room ${record.id}`
    const intervals = record.intervalsOf(id)
    const isIn = intervals.at(-1)?.left === Infinity
    if (isIn !== members.includes(id))
      model.findings.fault(
        'wrong in the timeline',
        `${about} by its messages, but not by its members, or the other way`,
      )
    const wasFounder = record.founders?.includes(id) ? 1 : 0
    const joins = intervals.length - wasFounder
    const leaves = intervals.filter(({ left }) => left !== Infinity).length
    judgeCount(model, `invitations of ${about}`, joins, record.joins.get(id))
    judgeCount(model, `leaving of ${about}`, leaves, record.leaves.get(id))
    const marks = record.marksOf(id)
    judgeEqual(model, `NewRooms of ${about}`, marks.filter(({ joined }) => joined).length, intervals.length)
    judgeEqual(model, `LeaveRooms of ${about}`, marks.filter(({ joined }) => !joined).length, leaves)
  }
}

/** An answered mark-read that changes something is told to the members: were it in no device's stream, it would be lost. */
export function judgeReads({ findings }: Model, record: RoomRecord): void {
  for (const { userId, roomSeq, at } of record.untoldReads) {
    const example = `that ${userId} has read up to ${roomSeq} in room ${record.id}, answered at ${new Date(at).toISOString()}`
    findings.fault('lost', example)
  }
}

/** Each that was answered 200 happened once; each that was not answered at most once. */
function judgeCount(
  model: Model,
  what: string,
  found: number,
  { sure, doubtful }: Count = { sure: 0, doubtful: 0 },
): void {
  const example = `${what}: ${found}, of ${sure} answered and ${doubtful} not answered`
  if (found < sure) model.findings.fault('lost', example, sure - found)
  if (found > sure + doubtful) model.findings.fault('doubled', example, found - sure - doubtful)
}

function judgeEqual(model: Model, what: string, found: number, wanted: number): void {
  if (found < wanted) model.findings.fault('lost', `${what}: ${found} of ${wanted}`, wanted - found)
  if (found > wanted) model.findings.fault('doubled', `${what}: ${found} of ${wanted}`, found - wanted)
}

type StoredRow = { room: string; seq: number }

/** The archive is done: the store has each message of each room once, and nothing of rooms that are gone. */
async function judgeStore(model: Model, system: System, kept: ReadonlySet<RoomRecord>): Promise<void> {
  const stored = new Map<string, Set<number>>()
  for await (const { room, seq } of storedRows(system)) {
    const seqs = stored.get(room) ?? new Set()
    if (seqs.has(seq)) model.findings.fault('wrong in the timeline', `message ${seq} of room ${room} is stored twice`)
    stored.set(room, seqs.add(seq))
  }
  for (const record of kept) {
    const seqs = stored.get(record.id) ?? new Set()
    const missing = record.head - seqs.size
    if (missing !== 0)
      model.findings.fault(
        'wrong in the timeline',
        `${seqs.size} of ${record.head} messages of room ${record.id} are stored`,
        Math.abs(missing),
      )
    stored.delete(record.id)
  }
  for (const [room, seqs] of stored)
    model.findings.fault(
      'wrong in the timeline',
      `${seqs.size} messages of room ${room}, which is gone, are stored`,
      seqs.size,
    )
}

async function* storedRows({ keyspace, service }: System): AsyncGenerator<StoredRow> {
  if (!keyspace) {
    const { rows } = await service.sql.query('select room_id as room, room_seq::int as seq from message')
    yield* rows
    return
  }
  const rows = await keyspace.client.execute('select room_id, room_seq from message', [], { fetchSize: 5_000 })
  for await (const row of rows) yield { room: String(row['room_id']), seq: Number(row['room_seq']) }
}
