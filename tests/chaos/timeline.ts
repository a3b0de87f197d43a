/** Reads a room's timeline page by page and judges it: each message once, in order, without a hole, to the beginning. */
import type { Answer, Person } from '../support/person.ts'
import type { Client } from './client.ts'
import type { Model } from './model.ts'
import type { Message, RoomRecord } from './room-record.ts'

export const PAGE = 25
const BEGINNING = '9999-01-01T00:00:00Z'

export type Walk = {
  /** roomSeq of the newest message; 0 where there is none. */
  newest: number
  /** What ended it, if not its end. */
  refusal: Answer | undefined
}

/** @param pages at most so many */
export async function walkTimeline(
  model: Model,
  record: RoomRecord,
  pages: number,
  ask: (path: string) => Promise<Answer>,
): Promise<Walk> {
  // Whatever was shown to anybody before this has to be shown here.
  const shown = record.shown
  let before = BEGINNING
  let last: Message | undefined
  let newest = 0
  for (let page = 0; page < pages; page++) {
    const answer = await ask(`/api/rooms/${record.id}/timeline?timestamp=${encodeURIComponent(before)}`)
    if (answer.status !== 200) return { newest, refusal: answer }
    const messages = answer.body as Message[]
    if (page === 0) newest = messages[0]?.roomSeq ?? 0
    if (page === 0 && newest < shown) wrong(`begins at ${newest}, although ${shown} was shown before`)
    for (const message of messages) {
      judge(message, last)
      last = message
    }
    if (messages.length < PAGE) {
      if ((last?.roomSeq ?? 1) !== 1) wrong(`ends at message ${last?.roomSeq}`)
      break
    }
    before = last?.createdAt
  }
  model.tally.timelines++
  return { newest, refusal: undefined }

  function judge(message: Message, later: Message | undefined): void {
    model.learn(message, 'a timeline')
    if (!later) return
    if (message.roomSeq !== later.roomSeq - 1) wrong(`has ${message.roomSeq} after ${later.roomSeq}`)
    if (!(Date.parse(message.createdAt) < Date.parse(later.createdAt)))
      wrong(`has ${message.roomSeq} of ${message.createdAt} after one of ${later.createdAt}`)
  }

  function wrong(how: string): void {
    // While a room is being erased, somebody who was let in a moment ago may see part of it.
    if (record.mayEnd && !record.isSettled) return
    model.findings.fault('wrong in the timeline', `the timeline of room ${record.id} ${how}`)
  }
}

/** Asks any node, again until it is answered. */
export function asking(client: Client, person: Person): (path: string) => Promise<Answer> {
  return async (path) => (await client.insist(person, (device) => device.get(path))).answer
}
