/** What every adapter of the message store must do. */
import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { MessageType } from '../../src/log/event.ts'
import type { MessageRow } from '../../src/log/event-json.ts'
import type { MessageStore } from '../../src/messages/message-store.ts'
import { messageRow } from '../support/message-row.ts'

export type MessageStoreUnderTest = {
  store: MessageStore
  /** A room that exists. */
  createRoom(): Promise<string>
  /** What happens to a room before the store is told to delete it. */
  endRoom(roomId: string): Promise<void>
  close(): Promise<void>
}

const START = Date.parse('2026-01-31T12:00:00.000Z')
const FUTURE = new Date('9999-01-01T00:00:00Z')

/** `at`: milliseconds after START, and what it says. */
const message = (roomId: string, at: number, fields: Partial<MessageRow> = {}) =>
  messageRow(roomId, START + at, { roomSeq: at, body: JSON.stringify({ text: `at ${at}` }), ...fields })

const times = (messages: MessageRow[]) => messages.map(({ createdAt }) => createdAt.getTime() - START)
const ids = (messages: MessageRow[]) => messages.map(({ messageId }) => messageId)

/** `create` makes one store for all tests; each has rooms of its own. */
export function describeMessageStore(name: string, create: () => Promise<MessageStoreUnderTest>): void {
  describe(`message store: ${name}`, () => {
    let underTest: MessageStoreUnderTest
    let store: MessageStore
    let room: string
    let otherRoom: string

    beforeAll(async () => {
      underTest = await create()
      store = underTest.store
    })
    afterAll(() => underTest.close())
    beforeEach(async () => {
      ;[room, otherRoom] = await Promise.all([underTest.createRoom(), underTest.createRoom()])
    })

    const pageOf = (roomId: string, before = FUTURE, limit = 1_000) => store.page({ roomId, before, limit })

    async function walk(roomId: string, limit: number): Promise<MessageRow[]> {
      const messages: MessageRow[] = []
      let before: Date | undefined = FUTURE
      while (before) {
        const page = await pageOf(roomId, before, limit)
        messages.push(...page)
        before = page.length < limit ? undefined : page.at(-1)?.createdAt
      }
      return messages
    }

    async function deleteRoom(roomId: string): Promise<void> {
      await underTest.endRoom(roomId)
      await store.deleteRoom(roomId, new Date())
    }

    describe('a message', () => {
      it.each<[string, Partial<MessageRow>]>([
        ['of text', { body: JSON.stringify({ text: 'Zoë 😀 山田 "\\ \n' }) }],
        ['of 4000 characters', { body: JSON.stringify({ text: '😀'.repeat(4_000) }) }],
        ['with a client message id', { clientMessageId: randomUUID(), roomSeq: 2 ** 40 }],
        ['from before the log', { roomSeq: null, createdAt: new Date('2015-06-07T08:09:10.123Z') }],
        ['of another type', { messageType: MessageType.RoomChange }],
        ['of the first moment', { createdAt: new Date(0) }],
      ])('%s is read as it was appended', async (_, fields) => {
        const appended = message(room, 0, fields)
        await store.append([appended])
        expect(await pageOf(room)).toEqual([appended])
        expect(await store.find(room, appended.createdAt, appended.messageId)).toEqual(appended)
      })

      it('is there once, however often it is appended', async () => {
        const messages = [1, 2, 3].map((at) => message(room, at))
        await store.append(messages)
        await store.append(messages.slice(1))
        await Promise.all([store.append(messages), store.append([...messages].reverse())])
        expect(await pageOf(room)).toEqual([...messages].reverse())
      })

      it('is in its own room alone, also where many rooms are appended to at once', async () => {
        const [one, other] = [message(room, 1), message(otherRoom, 1)]
        await store.append([one, other])
        expect([await pageOf(room), await pageOf(otherRoom)]).toEqual([[one], [other]])
      })

      it('is found by room, time and id alone', async () => {
        const [one, sameTime] = [message(room, 1), message(room, 1)]
        await store.append([one, sameTime])
        expect(await store.find(room, one.createdAt, one.messageId)).toEqual(one)
        expect(await store.find(room, sameTime.createdAt, sameTime.messageId)).toEqual(sameTime)
        expect(await store.find(otherRoom, one.createdAt, one.messageId)).toBeUndefined()
        expect(await store.find(room, new Date(START + 2), one.messageId)).toBeUndefined()
        expect(await store.find(room, one.createdAt, randomUUID())).toBeUndefined()
      })

      it('may be none', async () => {
        await store.append([])
        expect(await pageOf(room)).toEqual([])
      })
    })

    describe('a page', () => {
      it('is the newest before a time, newest first, in whatever order they were appended', async () => {
        await store.append([3, 1, 5].map((at) => message(room, at)))
        await store.append([4, 2].map((at) => message(room, at)))
        expect(times(await pageOf(room))).toEqual([5, 4, 3, 2, 1])
        expect(times(await pageOf(room, FUTURE, 2))).toEqual([5, 4])
        expect(times(await pageOf(room, new Date(START + 4), 2))).toEqual([3, 2])
      })

      it('is strictly before, to the millisecond', async () => {
        await store.append([1, 2].map((at) => message(room, at)))
        expect(times(await pageOf(room, new Date(START + 1)))).toEqual([])
        expect(times(await pageOf(room, new Date(START + 2)))).toEqual([1])
        expect(times(await pageOf(room, new Date(START + 3)))).toEqual([2, 1])
      })

      it('is shorter only where the room begins', async () => {
        await store.append(Array.from({ length: 30 }, (_, at) => message(room, at)))
        expect(await pageOf(room, FUTURE, 25)).toHaveLength(25)
        expect(await pageOf(room, new Date(START + 5), 25)).toHaveLength(5)
        expect(await pageOf(room, new Date(START), 25)).toEqual([])
        expect(await pageOf(otherRoom, FUTURE, 25)).toEqual([])
        expect(await pageOf(randomUUID(), FUTURE, 25)).toEqual([])
      })

      it('is full across years of silence', async () => {
        const year = 365 * 24 * 3_600_000
        await store.append([0, 1, -year, -5 * year, -9 * year].map((at) => message(room, at)))
        expect(times(await pageOf(room, FUTURE, 5))).toEqual([1, 0, -year, -5 * year, -9 * year])
        expect(times(await walk(room, 2))).toEqual([1, 0, -year, -5 * year, -9 * year])
      })

      it('runs on to the end of messages that share their time', async () => {
        const tie = [5, 5, 5].map((at) => message(room, at))
        await store.append([message(room, 9), ...tie, message(room, 1)])
        const page = await pageOf(room, FUTURE, 2)
        expect(times(page)).toEqual([9, 5, 5, 5])
        expect(ids(page.slice(1)).sort()).toEqual(ids(tie).sort())
        expect(times(await pageOf(room, new Date(START + 5), 2))).toEqual([1])
      })

      it('after page visits every message exactly once, whatever their times', async () => {
        const history = fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 60 })
        await fc.assert(
          fc.asyncProperty(history, fc.integer({ min: 1, max: 25 }), async (history, limit) => {
            const roomId = await underTest.createRoom()
            const messages = history.map((at) => message(roomId, at))
            await store.append(messages)
            const walked = await walk(roomId, limit)
            expect(ids(walked).sort()).toEqual(ids(messages).sort())
            expect(times(walked)).toEqual([...history].sort((a, b) => b - a))
          }),
          { numRuns: 25 },
        )
      })
    })

    describe('a deleted room', () => {
      it('is empty, and other rooms are as they were', async () => {
        const kept = message(otherRoom, 1)
        await store.append([message(room, 1), message(room, 2), kept])
        await deleteRoom(room)
        expect(await pageOf(room)).toEqual([])
        expect(await pageOf(otherRoom)).toEqual([kept])
      })

      it('stays empty, however late its messages arrive, and those of others arrive', async () => {
        const [late, again, kept] = [message(room, 2), message(room, 1), message(otherRoom, 1)]
        await store.append([again])
        await deleteRoom(room)
        await store.append([late, kept, again])
        expect(await pageOf(room)).toEqual([])
        expect(await store.find(room, late.createdAt, late.messageId)).toBeUndefined()
        expect(await pageOf(otherRoom)).toEqual([kept])
      })

      it('is empty when all is done, also where it is deleted while messages are appended', async () => {
        const batches = Array.from({ length: 10 }, (_, n) =>
          Array.from({ length: 50 }, (_, i) => message(room, n * 50 + i)),
        )
        await Promise.all([...batches.map((batch) => store.append(batch)), deleteRoom(room)])
        expect(await pageOf(room)).toEqual([])
      })

      it('may be deleted again, and one that never had a message too', async () => {
        await deleteRoom(room)
        await store.deleteRoom(room, new Date())
        await deleteRoom(otherRoom)
        await store.deleteRoom(randomUUID(), new Date())
      })

      it('may have had any number of messages', async () => {
        await store.append(Array.from({ length: 6_000 }, (_, at) => message(room, at)))
        await deleteRoom(room)
        expect(await pageOf(room, FUTURE, 1)).toEqual([])
      })
    })

    it('answers to a check', async () => {
      await store.check()
    })
  })
}
