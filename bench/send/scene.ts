/** Rooms and people that send in them: the same for every database of a bench. */
import type pg from 'pg'
import { newPeople, newRooms, previewText, type Room, seedPeople, seedRooms } from '../support/seed.ts'
import { NUMBERED_TEXT, sendRequest } from '../support/sends.ts'
import type { Person, Stage } from '../support/stage.ts'
import type { Send } from './append-process.ts'

export type Scene = {
  /** Makes its people and rooms in a database. */
  fill(sql: pg.Client): Promise<void>
  /** Sends over HTTP into the rooms of that size, as whole requests. */
  requests(roomSize: number): string[]
  /** The same, as rows. */
  sends(roomSize: number): Send[]
}

/** Different ones; then the same again. */
const SENDS = 2_000
/** Members of a room who send. */
const SENDERS_A_ROOM = 10

export async function makeScene(stage: Stage, roomSizes: readonly number[], roomCount: number): Promise<Scene> {
  const people = newPeople(Math.max(256, ...roomSizes))
  const rooms = new Map(roomSizes.map((size) => [size, newRooms(people, roomCount, size)]))
  const tokens = new Map<string, string>()
  const senders = new Set([...rooms.values()].flat().flatMap(({ members }) => members.slice(0, SENDERS_A_ROOM)))
  for (const [n, token] of (await stage.tokensOf([...senders])).entries()) tokens.set([...senders][n]?.id ?? '', token)

  const dealt = <Made>(size: number, make: (room: Room, sender: Person) => Made): Made[] =>
    Array.from({ length: SENDS }, (_, n) => {
      const room = rooms.get(size)?.[n % roomCount]
      const sender = room?.members[Math.floor(n / roomCount) % Math.min(size, SENDERS_A_ROOM)]
      if (!room || !sender) throw new Error(`there are no rooms of ${size}`)
      return make(room, sender)
    })

  return {
    async fill(sql) {
      await seedPeople(sql, people)
      for (const each of rooms.values()) await seedRooms(sql, each)
    },
    requests: (size) => dealt(size, (room, sender) => sendRequest(room.id, tokens.get(sender.id) ?? '')),
    sends: (size) =>
      dealt(size, (room, { id, displayName }) => ({
        roomId: room.id,
        senderId: id,
        body: JSON.stringify({ text: NUMBERED_TEXT }),
        preview: previewText(displayName, NUMBERED_TEXT),
      })),
  }
}
