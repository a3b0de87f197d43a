/** What is heard of while a stream is being opened, or cannot be looked up at once, still ends it. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { AuthorisedStreams, type Grant } from '../../src/streams/authorised-streams.ts'
import type { Stream } from '../../src/streams/stream.ts'

const ALICE = '11111111-1111-4111-8111-111111111111'
const BOB = '22222222-2222-4222-8222-222222222222'

let streams: AuthorisedStreams
let deleted: Set<string>
let down: boolean
let lookUps: string[][]
let notified: boolean

beforeEach(() => {
  deleted = new Set()
  down = false
  lookUps = []
  notified = true
  const db = {
    query: async <Row extends object>(_name: string, _text: string, [ids = []]: unknown[] = []) => {
      if (down) throw new Error('down')
      const people = ids as string[]
      lookUps.push(people)
      return people.flatMap((id, place) => (deleted.has(id) ? [{ place }] : [])) as object[] as Row[]
    },
  }
  streams = new AuthorisedStreams(db, { leewaySeconds: 0, isNotified: () => notified, giveBack: async () => {} })
})
afterEach(() => streams.stop())

class TestStream implements Stream {
  readonly userId: string
  readonly waiting = 0
  readonly unread = 0
  closed = false
  #onClose: (stream: Stream) => void = () => {}

  constructor(userId: string) {
    this.userId = userId
  }

  write(): void {}
  async drained(): Promise<void> {}
  end(): void {
    this.destroy()
  }
  destroy(): void {
    this.closed = true
    this.#onClose(this)
  }
  onClose(listener: (stream: Stream) => void): void {
    this.#onClose = listener
  }
}

function admit(userId: string, grant: Partial<Grant> = {}): TestStream {
  const stream = new TestStream(userId)
  streams.admit(stream, { expiresAt: Date.now() + 300_000, ticket: undefined, asOf: streams.changes, ...grant })
  return stream
}

const eventually = (check: () => void) => vi.waitFor(check, { timeout: 5_000 })
const settled = () => new Promise((resolve) => setImmediate(resolve))

test('a stream is not looked up when it opens, nor for what others change', async () => {
  admit(ALICE)
  streams.personChanged(BOB)
  await settled()
  expect(lookUps).toEqual([])
})

test('whoever was deleted while their stream was being opened is looked up', async () => {
  const asOf = streams.changes
  deleted.add(ALICE)
  streams.personChanged(ALICE)
  const [late, other] = [admit(ALICE, { asOf }), admit(BOB)]
  await settled()
  expect([late.closed, other.closed]).toEqual([true, false])
})

test.each([0, 1, 2])('where a person’s stream %i of three is over, the others end with the person', async (over) => {
  const all = [admit(ALICE), admit(ALICE), admit(ALICE)]
  all[over]?.destroy()
  expect(all.map(({ closed }) => closed)).toEqual([0, 1, 2].map((n) => n === over))
  deleted.add(ALICE)
  streams.personChanged(ALICE)
  await eventually(() => expect(all.map(({ closed }) => closed)).toEqual([true, true, true]))
  lookUps = []
  streams.anythingChanged()
  await settled()
  expect(lookUps).toEqual([])
})

test('what changes while it is looked up is looked up again', async () => {
  const stream = admit(ALICE)
  streams.personChanged(ALICE)
  deleted.add(ALICE)
  streams.personChanged(ALICE)
  await eventually(() => expect(stream.closed).toBe(true))
})

test('a look-up that fails is made again', async () => {
  const stream = admit(ALICE)
  down = true
  deleted.add(ALICE)
  streams.personChanged(ALICE)
  await settled()
  expect(stream.closed).toBe(false)
  down = false
  await eventually(() => expect(stream.closed).toBe(true))
})

test('everybody with a stream is looked up in one query after an interruption, and again and again in the midst of it', async () => {
  const [one, other] = [admit(ALICE), admit(BOB)]
  streams.anythingChanged()
  await settled()
  expect(lookUps).toEqual([[ALICE, BOB]])
  notified = false
  await eventually(() => expect(lookUps.length).toBeGreaterThan(2))
  expect(lookUps.at(-1)).toEqual([ALICE, BOB])
  deleted.add(BOB)
  await eventually(() => expect(other.closed).toBe(true))
  expect(one.closed).toBe(false)
  await eventually(() => expect(lookUps.at(-1)).toEqual([ALICE]))
})

test('of a ticket’s streams the newest goes on, in whatever order they come here', () => {
  const ticket = (opening: number) => ({ ticket: { hash: 'a', opening } })
  const second = admit(ALICE, ticket(2))
  const first = admit(ALICE, ticket(1))
  expect([first.closed, second.closed]).toEqual([true, false])
  streams.ticketUsed('a 2')
  streams.ticketUsed('b 9')
  expect(second.closed).toBe(false)
  // Two more on other nodes, of which one was quicker to be heard of than to be opened here.
  streams.ticketUsed('a 4')
  const third = admit(ALICE, ticket(3))
  expect([second.closed, third.closed]).toEqual([true, true])
  expect(admit(ALICE, ticket(5)).closed).toBe(false)
})

test('a person with several streams is looked up once, and thousands in slices between which others have their turn', async () => {
  const both = [admit(ALICE), admit(ALICE), admit(ALICE, { ticket: { hash: 'a', opening: 1 } })]
  const ids = Array.from({ length: 2_500 }, (_, n) => `33333333-3333-4333-8333-${String(n).padStart(12, '0')}`)
  const others = ids.map((id) => admit(id))
  deleted.add(ALICE).add(ids[2_400] ?? '')
  streams.anythingChanged()
  // Between the first slice and the last.
  await settled()
  expect(lookUps.length).toBeLessThan(3)
  await eventually(() => expect(lookUps.map(({ length }) => length)).toEqual([1_000, 1_000, 502]))
  expect(lookUps.flat().filter((id) => id === ALICE)).toHaveLength(2)
  expect(both.map(({ closed }) => closed)).toEqual([true, true, true])
  expect(others.filter(({ closed }) => closed)).toEqual([others[2_400]])
})
