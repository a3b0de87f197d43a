/** What people do besides: page back through timelines, and mark what they have read. */
import { setTimeout as delay } from 'node:timers/promises'
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
      } else {
        const { answer } = await this.#client.insist(member, (device) => device.post(...this.#markRead(room)))
        if (answer.status !== 200) this.#world.refused(room, member, answer, 'marking as read')
      }
    }
  }

  #markRead({ record }: Room): [path: string, body?: unknown] {
    const path = `/api/rooms/${record.id}/mark-read`
    return this.#random.next() < 0.5 ? [path] : [path, { roomSeq: 1 + this.#random.below(record.head + 1) }]
  }
}
