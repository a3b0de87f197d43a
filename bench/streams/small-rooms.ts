/** Events to a tenth of the small rooms at once, another one each time, and how many streams they reach. */
import { SMALL_ROOMS } from './target.ts'

/** @param streams stream `n` listens in room `n % SMALL_ROOMS`; of fewer streams than rooms, some rooms have none */
export function smallRoomsLoad(streams: number) {
  const listenedIn = Math.min(SMALL_ROOMS, streams)
  const atOnce = Math.ceil(listenedIn / 10)
  const rooms = (turn: number) => Array.from({ length: atOnce }, (_, n) => (turn * atOnce + n) % listenedIn)
  const listenersIn = (room: number) => Math.ceil((streams - room) / SMALL_ROOMS)
  return { rooms, deliveries: (turn: number) => rooms(turn).reduce((sum, room) => sum + listenersIn(room), 0) }
}
