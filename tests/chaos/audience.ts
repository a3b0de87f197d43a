/** All devices: each person has one from beginning to end, the others come and go. */
import { setTimeout as delay } from 'node:timers/promises'
import { pickFrom, randomOf, spread } from './chance.ts'
import { Device } from './device.ts'
import type { World } from './world.ts'

const LIFE_MS = { least: 5_000, most: 90_000 }

export class Audience {
  /** Present ones and past ones. */
  readonly devices: Device[] = []
  readonly #world: World
  readonly #seed: number
  #visiting: Promise<void>[] = []

  constructor(world: World, seed: number) {
    this.#world = world
    this.#seed = seed
  }

  /** The devices that stay; resolves when they have their cursors. */
  async open(): Promise<void> {
    const { people } = this.#world
    const devices = people.map((person, n) => Device.begin(this.#world, randomOf(this.#seed, `device ${n}`), person))
    this.devices.push(...(await Promise.all(devices)))
  }

  /** @param count how many come and go */
  visit(count: number, isOver: () => boolean): void {
    this.#visiting = Array.from({ length: count }, (_, n) => this.#visits(n, isOver))
    for (const visits of this.#visiting) visits.catch(() => {})
  }

  /** Resolves when nobody goes any more, with those who are still there. */
  async staying(): Promise<Device[]> {
    await Promise.all(this.#visiting)
    const staying = this.devices.filter(({ isStopped }) => !isStopped)
    for (const device of staying) device.calmDown()
    return staying
  }

  async #visits(n: number, isOver: () => boolean): Promise<void> {
    const random = randomOf(this.#seed, `visitor ${n}`)
    for (let turn = 0; !isOver(); turn++) {
      const person = pickFrom(random, this.#world.people)
      if (!person) return
      const own = randomOf(this.#seed, `visitor ${n}, ${turn}`)
      const isNew = random.next() < 0.75
      const device = isNew ? await Device.begin(this.#world, own, person) : Device.beginNow(this.#world, own, person)
      this.devices.push(device)
      const leavesAt = performance.now() + spread(random, LIFE_MS.least, LIFE_MS.most)
      while (performance.now() < leavesAt && !isOver()) await delay(100)
      if (!isOver()) await device.stop()
    }
  }
}
