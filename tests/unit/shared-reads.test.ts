/** What streams that open together ask the database: once for all, each with their own answer, never an answer from before they asked. */
import { beforeEach, expect, test, vi } from 'vitest'
import type { Queryable } from '../../src/infra/postgres.ts'
import { EventType } from '../../src/log/event.ts'
import { Tail } from '../../src/log/tail.ts'
import { createSharedReads, type SharedReads } from '../../src/streams/shared-reads.ts'
import { logEvent } from '../support/log-event.ts'

type Call = { name: string; values: unknown[]; resolve: (rows: object[]) => void; reject: (error: Error) => void }

/** Statements that wait for the test's answer. */
let calls: Call[]
let tail: Tail
let reads: SharedReads

beforeEach(() => {
  calls = []
  const db: Queryable = {
    query: (name, _text, values = []) =>
      new Promise((resolve, reject) => {
        calls.push({ name, values, resolve: resolve as (rows: object[]) => void, reject })
      }),
  }
  const silent = () => {}
  tail = new Tail(
    db,
    { tailRead: silent, tailFailed: silent, logReplaced: silent },
    { memoryBytes: 1, isWoken: () => true },
  )
  reads = createSharedReads(db, tail, (roomId) => (roomId === 'hall' ? HALL : undefined))
})

/** Somebody's stay who has a stream already. */
const HALL = { roomId: 'hall', from: 2, to: undefined, earlier: undefined }

/** The next statement, once it was sent. */
async function nextCall(): Promise<Call> {
  await vi.waitUntil(() => calls.length > 0, { interval: 1, timeout: 8_000 })
  return calls.shift() as Call
}

const open = (place: number, roomId: string, from: number) => ({ place, roomId, from, to: null })
const rooms = async (memberships: ReturnType<SharedReads['memberships']>) => [
  ...(await memberships).memberships.rooms.keys(),
]

test('people who came together see what they were there for, though one of them leaves', async () => {
  const [alice, bob, carol] = [
    reads.memberships('alice', 0),
    reads.memberships('bob', 0),
    reads.memberships('carol', 0),
  ]
  const { resolve } = await nextCall()
  const both = ['kitchen', 'hall']
  resolve([0, 1].flatMap((place) => both.map((roomId) => open(place, roomId, 2))).concat(open(2, 'hall', 5)))
  for (const roomId of both) {
    const event = { type: EventType.LeaveRoom, roomId, recipients: ['alice'] }
    ;(await alice).memberships.apply(logEvent(7, event))
  }
  const seen = async (asked: typeof alice, seq: number) =>
    Promise.all(both.map(async (roomId) => (await asked).memberships.sees(roomId, seq)))
  expect([await seen(alice, 6), await seen(alice, 8)]).toEqual([
    [true, true],
    [false, false],
  ])
  expect([await seen(bob, 6), await seen(bob, 8)]).toEqual([
    [true, true],
    [true, true],
  ])
  expect([await seen(carol, 4), await seen(carol, 6)]).toEqual([
    [false, false],
    [false, true],
  ])
  expect(HALL.to).toBeUndefined()
})

test('rooms of people who ask together are one statement, and each gets their own', async () => {
  const [alice, bob, carol, aliceFromEarlier] = [
    reads.memberships('alice', 7),
    reads.memberships('bob', 7),
    reads.memberships('carol', 9),
    reads.memberships('alice', 3),
  ]
  const { name, values, resolve } = await nextCall()
  expect([name, ...values]).toEqual(['log.memberships', ['alice', 'bob', 'carol', 'alice'], [7, 7, 9, 3]])
  resolve([
    open(3, 'left', 1),
    open(1, 'garden', 2),
    open(0, 'kitchen', 2),
    open(3, 'kitchen', 2),
    open(1, 'cellar', 5),
  ])
  expect(await rooms(alice)).toEqual(['kitchen'])
  expect(await rooms(bob)).toEqual(['garden', 'cellar'])
  expect(await rooms(carol)).toEqual([])
  expect(await rooms(aliceFromEarlier)).toEqual(['left', 'kitchen'])
  expect((await aliceFromEarlier).memberships.since).toBe(3)
  expect((await carol).memberships.since).toBe(9)
  expect(calls).toEqual([])
})

test('whoever asks while a statement is under way is answered by a later one', async () => {
  const first = [reads.logState(), reads.logState()]
  const earlier = await nextCall()
  const late = reads.logState()
  earlier.resolve([{ headSeq: 5 }])
  expect((await Promise.all(first)).map(({ headSeq }) => headSeq)).toEqual([5, 5])
  const later = await nextCall()
  later.resolve([{ headSeq: 8 }])
  expect((await late).headSeq).toBe(8)
})

test('the position with the rooms is never later than when they were read', async () => {
  tail.position = 4
  const asked = reads.memberships('alice', 2)
  const { resolve } = await nextCall()
  tail.position = 6
  resolve([])
  expect((await asked).position).toBe(4)
})

test('a statement that fails fails those who asked it, and nobody who comes after', async () => {
  const failing = Promise.allSettled([reads.memberships('alice', 1), reads.memberships('bob', 1)])
  const { reject } = await nextCall()
  const late = reads.memberships('carol', 1)
  reject(new Error('gone'))
  expect((await failing).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  const { values, resolve } = await nextCall()
  expect(values[0]).toEqual(['carol'])
  resolve([open(0, 'kitchen', 0)])
  expect(await rooms(late)).toEqual(['kitchen'])
})

test('thousands are asked for in several statements, of which none is large', async () => {
  const asked = Promise.all(Array.from({ length: 1_000 }, (_, n) => reads.memberships(`person ${n}`, 0)))
  const sizes: number[] = []
  for (let left = 1_000; left > 0; ) {
    const { values, resolve } = await nextCall()
    const people = values[0] as string[]
    resolve(people.map((id, place) => open(place, id, 0)))
    sizes.push(people.length)
    left -= people.length
  }
  expect(Math.max(...sizes)).toBeLessThanOrEqual(64)
  for (const [n, { memberships }] of (await asked).entries())
    expect([...memberships.rooms.keys()]).toEqual([`person ${n}`])
})
