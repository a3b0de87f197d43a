/** Who with a stream on this node may be in which room, and at which seqs: as their memberships have it. */
import type { Memberships, Stay } from '../log/memberships.ts'
import type { Stream } from './stream.ts'

/** Somebody with a stream on this node. */
export type Person = {
  readonly userId: string
  /** True at every event up to the tail's position. */
  memberships: Memberships
  /** Live ones, oldest first; another list whenever one comes or goes. */
  streams: readonly Stream[]
  /** Streams that are being opened and hold on to this person. */
  openings: number
}

export class RoomPeople {
  readonly #rooms = new Map<string, Map<Person, Stay | undefined>>()

  of(roomId: string): ReadonlyMap<Person, Stay | undefined> | undefined {
    return this.#rooms.get(roomId)
  }

  /** That of somebody who is here. */
  stayIn(roomId: string): Stay | undefined {
    return this.#rooms.get(roomId)?.values().next().value
  }

  /** Again, where the person's stay there is another one. */
  enter(roomId: string, person: Person): void {
    const people = this.#rooms.get(roomId) ?? new Map<Person, Stay | undefined>()
    people.set(person, person.memberships.of(roomId))
    this.#rooms.set(roomId, people)
  }

  leave(roomId: string, person: Person): void {
    const people = this.#rooms.get(roomId)
    people?.delete(person)
    if (people?.size === 0) this.#rooms.delete(roomId)
  }

  enterAll(person: Person): void {
    for (const roomId of person.memberships.rooms.keys()) this.enter(roomId, person)
  }

  leaveAll(person: Person): void {
    for (const roomId of person.memberships.rooms.keys()) this.leave(roomId, person)
  }

  forget(roomId: string): void {
    this.#rooms.delete(roomId)
  }

  clear(): void {
    this.#rooms.clear()
  }
}
