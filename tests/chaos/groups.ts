/** Groups come and go, and people in them: invited, leaving, invited back, until everybody leaves. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Person } from '../support/person.ts'
import type { Random } from '../support/random.ts'
import { pickFrom, spread, weighted } from './chance.ts'
import type { Client } from './client.ts'
import { countIn } from './room-record.ts'
import { mayLeave, type Room, type World } from './world.ts'

const PAUSE_MS = { least: 30, most: 900 }
const SIZE = { least: 3, most: 8 }

export class Groups {
  readonly #world: World
  readonly #random: Random
  readonly #client: Client
  readonly #name: string
  readonly #wanted: number
  #made = 0

  /** @param wanted so many groups, of this actor's and others' */
  constructor(world: World, random: Random, name: string, wanted: number) {
    this.#world = world
    this.#random = random
    this.#client = world.client(random)
    this.#name = name
    this.#wanted = wanted
  }

  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const groups = this.#world.rooms.filter(
        ({ kind, isHall, record }) => kind === 'Group' && !isHall && !record.mayEnd,
      )
      const group = pickFrom(this.#random, groups)
      if (!group || groups.length < this.#wanted) await this.create()
      else await this.#change(group)
      await delay(spread(this.#random, PAUSE_MS.least, PAUSE_MS.most))
    }
  }

  async create(): Promise<void> {
    const host = pickFrom(this.#random, this.#world.people) as Person
    const size = SIZE.least + this.#random.below(SIZE.most - SIZE.least)
    const others = new Set<Person>()
    for (let n = 1; n < size; n++) others.add(this.#guestOf(host))
    others.delete(host)
    if (others.size < 2) return
    await this.#world.createGroup(this.#client, host, [...others], `${this.#name}, group ${++this.#made}`)
  }

  async #change(group: Room): Promise<void> {
    const leaver = pickFrom(
      this.#random,
      [...group.members].filter((member) => mayLeave(group, member)),
    )
    const isFull = group.members.size >= SIZE.most
    const change = weighted(this.#random, {
      invite: isFull ? 0 : 5,
      leave: leaver ? 4 : 0,
      both: leaver ? 1 : 0,
      end: 0.2,
    })
    if (change === 'invite') await this.#invite(group, this.#guestOf(group.host))
    else if (change === 'leave' && leaver) await this.#leave(group, leaver)
    else if (change === 'both' && leaver && leaver !== this.#world.partnerOf(group.host))
      await Promise.all([this.#leave(group, leaver), this.#invite(group, leaver)])
    else if (change === 'end') await this.#end(group)
  }

  async #invite(group: Room, guest: Person): Promise<void> {
    const { record, host } = group
    const path = `/api/rooms/${record.id}/invite/${guest.id}`
    const { answer, doubts } = await this.#client.insist(host, (device) => device.post(path))
    const joins = countIn(record.joins, guest.id)
    joins.doubtful += doubts
    const isIn = answer.status === 400 && /already a member/.test(answer.body.message)
    if (answer.status === 200) joins.sure++
    else if (!isIn) return this.#world.refused(group, host, answer, `inviting ${guest.name}`)
    group.members.add(guest)
  }

  async #leave(group: Room, member: Person): Promise<void> {
    const { record } = group
    const path = `/api/rooms/${record.id}/leave`
    record.leavers.add(member.id)
    const { answer, doubts } = await this.#client.insist(member, (device) => device.post(path))
    const leaves = countIn(record.leaves, member.id)
    leaves.doubtful += doubts
    if (answer.status !== 200) return this.#world.refused(group, member, answer, 'leaving')
    leaves.sure++
    group.members.delete(member)
  }

  async #end(group: Room): Promise<void> {
    group.record.mayEnd = true
    await Promise.all([...group.members].map((member) => this.#leave(group, member)))
    if (group.members.size === 0) this.#world.forget(group)
  }

  #guestOf(host: Person): Person {
    const guests = this.#world.people.filter((person) => person !== host && person !== this.#world.partnerOf(host))
    return pickFrom(this.#random, guests) as Person
  }
}
