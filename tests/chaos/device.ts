/** One device of a person: its stream breaks, moves between nodes, stalls, and resumes, until the device is given up. */
import { setTimeout as delay } from 'node:timers/promises'
import { EventStream, type WireEvent } from '../support/event-stream.ts'
import { follow } from '../support/persistent-clients.ts'
import type { Person } from '../support/person.ts'
import type { Random } from '../support/random.ts'
import { pickFrom, spread } from './chance.ts'
import type { Client } from './client.ts'
import type { RoomRecord } from './room-record.ts'
import { Sight, seqOfCursor } from './sight.ts'
import { asking, walkTimeline } from './timeline.ts'
import type { World } from './world.ts'

/** What a device loaded by REST before its stream began: everything up to `from` has to be in it. */
export type FirstLoad = { record: RoomRecord; from: number; newest: number }

const ROOMS_LOADED = 2
/** How long a client reads before it goes elsewhere, if it does. */
const READING_MS = { least: 200, most: 20_000 }
const STALL_MS = { least: 300, most: 6_000 }
const AWAY_MS = { least: 200, most: 5_000 }
const BACK_OFF_MS = { least: 10, most: 300 }

export class Device {
  readonly person: Person
  /** None before it knows where it begins; another one after each Resync. */
  readonly sights: Sight[] = []
  readonly loads: FirstLoad[]
  readonly #world: World
  readonly #random: Random
  readonly #client: Client
  #cursor: string | undefined
  #stream: EventStream | undefined
  isStopped = false
  #calm = false
  readonly #done: Promise<void>

  private constructor(world: World, random: Random, begun: Begun) {
    this.#world = world
    this.#random = random
    this.#client = world.client(random)
    this.person = begun.person
    this.loads = begun.loads
    this.#cursor = begun.cursor
    if (begun.cursor !== undefined) this.#look(seqOfCursor(begun.cursor))
    this.#done = this.#run()
    // Whoever stops it learns of it.
    this.#done.catch(() => {})
  }

  /** As a new client does: first the cursor, then a load by REST, then the stream from that cursor. */
  static async begin(world: World, random: Random, person: Person): Promise<Device> {
    return new Device(world, random, await begin(world, random, person))
  }

  /** As a client does that wants nothing but what comes from now on. */
  static beginNow(world: World, random: Random, person: Person): Device {
    return new Device(world, random, { person, cursor: undefined, loads: [] })
  }

  get sight(): Sight | undefined {
    return this.sights.at(-1)
  }

  /** Of its stream: 0 where it was not answered. */
  get status(): number {
    return this.#stream?.status ?? 0
  }

  /** From now on it leaves its stream alone. */
  calmDown(): void {
    this.#calm = true
  }

  async stop(): Promise<void> {
    this.isStopped = true
    this.#stream?.close()
    await this.#done
    for (const sight of this.sights) sight.forgetRecent()
  }

  async #run(): Promise<void> {
    while (!this.isStopped) {
      const stream = new EventStream(`${this.#client.anyUrl()}/api/sse`, {
        authorization: `Bearer ${this.person.token}`,
        ...(this.#cursor === undefined ? {} : { 'last-event-id': this.#cursor }),
      })
      this.#stream = stream
      const timers = this.#misbehave(stream)
      await follow(stream, (events) => this.#take(stream, events))
      for (const timer of timers) clearTimeout(timer)
      this.#count(stream)
      if (!this.isStopped) await delay(this.#pauseMs())
    }
  }

  #misbehave(stream: EventStream): NodeJS.Timeout[] {
    // Drawn whether they are used or not: what comes next must not depend on it.
    const [goes, stalls] = [this.#random.next() < 0.4, this.#random.next() < 0.2]
    const [after, stallAfter, stallFor] = [READING_MS, READING_MS, STALL_MS].map(({ least, most }) =>
      spread(this.#random, least, most),
    ) as [number, number, number]
    const soon = (ms: number, action: () => void) => setTimeout(() => this.#calm || action(), ms)
    return [
      ...(goes ? [soon(after, () => stream.close())] : []),
      ...(stalls
        ? [soon(stallAfter, () => stream.pause()), setTimeout(() => stream.resume(), stallAfter + stallFor)]
        : []),
    ]
  }

  #take(stream: EventStream, events: WireEvent[]): void {
    const { lastEventId } = stream
    if (lastEventId === undefined) return
    if (!this.sight) this.#look(this.#beginningOf(stream, events))
    for (const event of events) {
      if (event.type === 'Resync') this.#reload(event)
      else this.sight?.take(event)
    }
    this.#cursor = lastEventId
    this.sight?.moveTo(lastEventId)
  }

  /** Of one that was opened without a cursor. */
  #beginningOf({ namedFrames }: EventStream, [first]: WireEvent[]): number {
    const cursor = /^event: cursor\nid: (.+)$/m.exec(namedFrames[0] ?? '')?.[1]
    if (cursor !== undefined) return seqOfCursor(cursor)
    this.#world.model.findings.unexpected(`a stream of ${this.person.name} did not open with a cursor`)
    return first ? first.seq - 1 : 0
  }

  #reload(event: WireEvent): void {
    const { tally, findings } = this.#world.model
    tally.resyncs++
    // Nothing is trimmed in a run, and no database is restored.
    findings.unexpected(`a Resync for ${this.person.name}, after ${this.sight?.through}: ${JSON.stringify(event)}`)
    this.#look(seqOfCursor(event.eventId))
  }

  #look(from: number): void {
    this.sights.push(new Sight(this.#world.model, this.person, from))
  }

  #count({ status }: EventStream): void {
    if (status === 200) this.#world.model.tally.connections++
    else if (status !== 0 && status !== 503)
      this.#world.model.findings.unexpected(`a stream of ${this.person.name} was answered ${status}`)
  }

  #pauseMs(): number {
    const isAway = this.#random.next() < 0.2 && !this.#calm
    const { least, most } = isAway ? AWAY_MS : BACK_OFF_MS
    return spread(this.#random, least, most)
  }
}

type Begun = { person: Person; cursor: string | undefined; loads: FirstLoad[] }

async function begin(world: World, random: Random, person: Person): Promise<Begun> {
  const ask = asking(world.client(random), person)
  const { status, body } = await ask('/api/notifications/cursor')
  if (status !== 200) throw new Error(`the cursor of ${person.name} was answered ${status}`)
  const cursor: string = body.lastEventId
  const rooms = (await ask('/api/rooms')).body as { id: string }[]
  const loads: FirstLoad[] = []
  for (let n = 0; n < ROOMS_LOADED && rooms.length > 0; n++) {
    const record = world.model.record((pickFrom(random, rooms) as { id: string }).id)
    const { newest, refusal } = await walkTimeline(world.model, record, 1, ask)
    if (!refusal) loads.push({ record, from: seqOfCursor(cursor), newest })
  }
  return { person, cursor, loads }
}
