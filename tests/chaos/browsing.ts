/** What people do besides: page back through timelines, and mark what they have read. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Person } from '../support/person.ts'
import type { Random } from '../support/random.ts'
import { spread } from './chance.ts'
import type { Client } from './client.ts'
import { asking, walkTimeline } from './timeline.ts'
import type { Room, World } from './world.ts'

const PAUSE_MS = { least: 50, most: 1_500 }
const PAGES = 4

export class Browsing {
  readonly #world: World
  readonly #random: Random
  readonly #client: Client

  constructor(world: World, random: Random) {
    this.#world = world
    this.#random = random
    this.#client = world.client(random)
  }

  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await delay(spread(this.#random, PAUSE_MS.least, PAUSE_MS.most))
      const chosen = this.#world.anyRoom(this.#random)
      if (!chosen) continue
      const { room, member } = chosen
      const ask = asking(this.#client, member)
      if (this.#random.next() < 0.5) {
        const { refusal } = await walkTimeline(this.#world.model, room.record, 1 + this.#random.below(PAGES), ask)
        if (refusal) this.#world.refused(room, member, refusal, 'reading a timeline')
      } else await this.#markRead(room, member)
    }
  }

  async #markRead(room: Room, member: Person): Promise<void> {
    const { record } = room
    // What is heard of now is there for the server, too; what comes meanwhile may be.
    const { head } = record
    const upTo = this.#random.next() < 0.5 ? undefined : 1 + this.#random.below(head + 1)
    const path = `/api/rooms/${record.id}/mark-read`
    const { answer } = await this.#client.insist(member, (device) =>
      device.post(path, upTo === undefined ? undefined : { roomSeq: upTo }),
    )
    if (answer.status !== 200) return this.#world.refused(room, member, answer, 'marking as read')
    const roomSeq = Math.min(upTo ?? head, head)
    if (roomSeq > 0) record.answeredReads.push({ userId: member.id, roomSeq, at: Date.now() })
  }
}
