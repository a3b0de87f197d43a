/** What the tests of several nodes share: rooms, and the proof that everything came everywhere. */
import { expect } from 'vitest'
import type { Ledger } from '../support/ledger.ts'
import type { IsmNode } from '../support/node.ts'
import type { Reader } from '../support/persistent-clients.ts'
import type { Answer, Person } from '../support/person.ts'

/** The first of them makes it. */
export function createGroup(members: Person[], name: string, url: string): Promise<string> {
  const [owner, ...others] = members as [Person, ...Person[]]
  return owner.at(url).createRoom(others, name)
}

/** All streams to their end, then each room's timeline on the one node and on the other. */
export async function expectEverywhere(ledger: Ledger, readers: Reader[], nodes: readonly IsmNode[]): Promise<void> {
  await Promise.all(
    readers.map((reader) =>
      reader.until('all messages', () => ofType(reader, 'ChatMessage').length >= ledger.countFor(reader.person)),
    ),
  )
  await Promise.all(readers.map((reader) => reader.stop()))
  for (const { person, events } of readers) ledger.expectStream(person, events)
  for (const roomId of ledger.rooms) {
    const members = readers.map(({ person }) => person).filter((person) => ledger.roomsOf(person).includes(roomId))
    for (const [n, person] of [members[0], members.at(-1)].entries())
      if (person) await ledger.expectTimeline(person.at(nodes[n]?.url ?? ''), roomId)
  }
}

export function expectOk({ status, body }: Answer): Answer['body'] {
  expect({ status, body }).toMatchObject({ status: 200 })
  return body
}

export const ofType = (reader: Reader, wanted: string) => reader.events.filter(({ type }) => type === wanted)

/** How long a node is left alone or frozen is what these tests vary; nothing is awaited by it. */
export const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))
