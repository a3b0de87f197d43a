/** Private rooms: opened, used for a while, ended by leaving or by a block, which is taken back. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Person } from '../support/person.ts'
import type { Random } from '../support/random.ts'
import { pickFrom, spread, weighted } from './chance.ts'
import type { Client } from './client.ts'
import type { RoomRecord } from './room-record.ts'
import type { World } from './world.ts'

const USE_MS = { least: 300, most: 8_000 }
export type Pair = [Person, Person]

/** @returns everybody with their partner */
export function pairsOf(world: World): Pair[] {
  return world.people.filter((_, n) => n % 2 === 0).map((person) => [person, world.partnerOf(person)])
}

export class Pairs {
  readonly #world: World
  readonly #random: Random
  readonly #client: Client
  readonly #pairs: readonly Pair[]

  /** @param pairs nobody else makes or ends private rooms of theirs */
  constructor(world: World, random: Random, pairs: readonly Pair[]) {
    this.#world = world
    this.#random = random
    this.#client = world.client(random)
    this.#pairs = pairs
  }

  async run(isOver: () => boolean): Promise<void> {
    const faithful = this.#pairs.filter(([one]) => this.#world.isFaithful(one))
    for (const pair of faithful) if (!isOver()) await this.#open(pair)
    while (!isOver()) {
      const pair = pickFrom(this.#random, this.#pairs) as Pair
      const record = faithful.includes(pair) ? undefined : await this.#open(pair)
      await delay(spread(this.#random, USE_MS.least, USE_MS.most))
      if (record) await this.#end(record, pair)
    }
  }

  async #open([one, other]: Pair): Promise<RoomRecord | undefined> {
    const invitedUsers = [one.id, other.id]
    const { answer } = await this.#client.insist(one, (device) =>
      device.post('/api/rooms/create-room', { roomType: 'Single', invitedUsers }),
    )
    if (answer.status === 200) return this.#world.model.heardOfRoom(answer.body, one)
    if (answer.status !== 400) this.#world.unexpected(answer, `${one.name} opening a private room`)
    // An attempt that was not answered has made it, or one to block has come late.
    const path = `/api/rooms/search?withUser=${other.id}`
    const found = (await this.#client.insist(one, (device) => device.get(path))).answer
    if (typeof found.body !== 'string') await this.#unblock([one, other])
    if (typeof found.body !== 'string') return undefined
    return this.#world.model.heardOfRoom({ id: found.body, roomType: 'Single', roomName: other.name }, one)
  }

  async #end(record: RoomRecord, pair: Pair): Promise<void> {
    const [one, other] = this.#random.next() < 0.5 ? pair : ([pair[1], pair[0]] as Pair)
    const leave = (person: Person) => this.#call('POST', person, `/api/rooms/${record.id}/leave`, [200, 403, 404])
    const block = (person: Person, whom: Person) => this.#call('POST', person, `/api/users/ignore/${whom.id}`, [200])
    const how = weighted(this.#random, { leave: 4, leaveTogether: 1, block: 3, blockEachOther: 1, leaveAndBlock: 1 })
    if (how === 'leave') await leave(one)
    else if (how === 'leaveTogether') await Promise.all([leave(one), leave(other)])
    else if (how === 'block') await block(one, other)
    else if (how === 'blockEachOther') await Promise.all([block(one, other), block(other, one)])
    else await Promise.all([leave(one), block(other, one)])
    if (how !== 'leave' && how !== 'leaveTogether') await this.#unblock(pair)
    this.#world.rooms = this.#world.rooms.filter((room) => room.record !== record)
  }

  async #unblock([one, other]: Pair): Promise<void> {
    // Each undoes their own block; whoever has made none is refused.
    await this.#call('DELETE', one, `/api/users/ignore/${other.id}`, [200, 400, 403, 404])
    await this.#call('DELETE', other, `/api/users/ignore/${one.id}`, [200, 400, 403, 404])
  }

  async #call(method: string, person: Person, path: string, wanted: number[]): Promise<void> {
    const { answer } = await this.#client.insist(person, (device) => device.call(method, path))
    if (!wanted.includes(answer.status)) this.#world.unexpected(answer, `${method} ${path} of ${person.name}`)
  }
}
