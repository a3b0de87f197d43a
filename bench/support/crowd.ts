/** People by the thousand, each in one room of ten, who listen; and somebody who has nothing to do with them. */
import type pg from 'pg'
import { requestText } from './http-client.ts'
import { newPeople, newRooms, type Room, seedPeople, seedRooms } from './seed.ts'
import type { Stage } from './stage.ts'

export const ROOM_SIZE = 10

export type Crowd = {
  rooms: Room[]
  /** In the order of people: person `n` is in room `n / ROOM_SIZE`. */
  tokens: string[]
  /** A small call by somebody who is in none of the rooms. */
  unrelated: string
  outsiderToken: string
  fill(sql: pg.Client): Promise<void>
}

/** @throws Error where the rooms are not filled: somebody would be in two, and hear twice what is counted once */
export async function makeCrowd(stage: Stage, count: number): Promise<Crowd> {
  if (count % ROOM_SIZE !== 0)
    throw new Error(`${count} people in rooms of ${ROOM_SIZE}: ask for a multiple of ${ROOM_SIZE}`)
  const [outsider, ...people] = newPeople(count + 1)
  if (!outsider) throw new Error('a crowd needs people')
  const rooms = newRooms(people, count / ROOM_SIZE, ROOM_SIZE)
  const [outsiderToken = '', ...tokens] = await stage.tokensOf([outsider, ...people])
  return {
    rooms,
    tokens,
    outsiderToken,
    unrelated: requestText('GET', `/api/users/${outsider.id}`, outsiderToken),
    async fill(sql) {
      await seedPeople(sql, [outsider, ...people])
      await seedRooms(sql, rooms)
    },
  }
}
