/** What is measured: a server that people listen to and that events are published to. */
import type { HttpConnection } from '../support/http-client.ts'

/** Rooms beside the one that everybody is in; the person `n` is in room `n % SMALL_ROOMS` of them. */
export const SMALL_ROOMS = 1_000

export type Published = {
  /** On the monotonic clock, in milliseconds: before the event was handed over, and when it was acknowledged. */
  sent: number
  acknowledged: number
}

export type Target = {
  name: string
  port: number
  pid: number
  /** What it keeps its events with, where that is a process of its own. */
  storePid: number | undefined
  /** It is no messenger, and carries one room's events one by one, as what they cost at least. */
  isFloor?: true
  /** The request by which connection `n` listens to everybody's room or to its small room. */
  listen(n: number, room: 'everybody' | 'small'): string
  /** One event to each of the rooms, in order; everybody's room is 'everybody', the others have a number. */
  publish(rooms: ('everybody' | number)[]): Promise<Published>
  /** A request that has nothing to do with streams. */
  unrelated(client: HttpConnection): Promise<unknown>
  stop(): Promise<void>
}
