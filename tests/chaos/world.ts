/** People and the rooms that they are believed to be in: what actors choose from. The model alone judges. */
import type { Answer, Person } from '../support/person.ts'
import type { Random } from '../support/random.ts'
import { pickFrom } from './chance.ts'
import { Client } from './client.ts'
import type { Model, RoomKind } from './model.ts'
import type { RoomRecord } from './room-record.ts'

export type Room = {
  readonly record: RoomRecord
  readonly kind: RoomKind
  /** Stays until the room is given up. */
  readonly host: Person
  readonly members: Set<Person>
  /** Everybody is there, for good. */
  readonly isHall: boolean
  /** To reply to. */
  newest: { messageId: string; createdAt: string } | undefined
}

const HALL = 'hall'
/** One in so many pairs. */
const FAITHFUL = 3

export class World {
  readonly people: readonly Person[]
  readonly model: Model
  readonly urls: readonly string[]
  rooms: Room[] = []

  constructor(model: Model, urls: readonly string[]) {
    this.people = model.people
    this.model = model
    this.urls = urls
    model.onFounded = (record, kind, founders) => this.#found(record, kind, founders)
  }

  client(random: Random): Client {
    return new Client(this.urls, random, this.model.findings)
  }

  /** The one other person that they may block, and so never take into a group of theirs. */
  partnerOf(person: Person): Person {
    return this.people[this.people.indexOf(person) ^ 1] as Person
  }

  /** Never ends the private room with their partner. */
  isFaithful(person: Person): boolean {
    return (this.people.indexOf(person) >> 1) % FAITHFUL === 0
  }

  async openHall(random: Random): Promise<void> {
    const [host, ...others] = this.people as [Person, ...Person[]]
    await this.createGroup(this.client(random), host, others, HALL)
  }

  get hall(): Room {
    return this.rooms.find(({ isHall }) => isHall) as Room
  }

  /** However often that is tried, each attempt makes a group of its own, if any. */
  async createGroup(client: Client, host: Person, others: Person[], name: string): Promise<void> {
    let attempt = 0
    const { answer } = await client.insist(host, (device) => {
      const roomName = `${name}, ${++attempt}`
      this.model.expectGroup(roomName, [host, ...others])
      const invitedUsers = [host, ...others].map(({ id }) => id)
      return device.post('/api/rooms/create-room', { roomType: 'Group', roomName, invitedUsers })
    })
    if (answer.status === 200) this.model.heardOfRoom(answer.body, host)
    else this.unexpected(answer, `${host.name} making a group`)
  }

  anyRoom(random: Random): { room: Room; member: Person } | undefined {
    const room = pickFrom(random, this.rooms)
    const member = room && pickFrom(random, [...room.members])
    return member && { room, member }
  }

  /** What a refusal says of `person` in `room`; where nobody has tried to end that, it should not have come. */
  refused(room: Room, person: Person, answer: Answer, what: string): void {
    const { mayEnd, leavers } = room.record
    const mayBeOut = leavers.has(person.id) || (mayEnd && room.kind === 'Single')
    if (answer.status === 404 && mayEnd) this.forget(room)
    else if (answer.status === 403 && mayBeOut) room.members.delete(person)
    else this.unexpected(answer, `${person.name}, ${what}`)
  }

  forget(room: Room): void {
    this.rooms = this.rooms.filter((other) => other !== room)
  }

  unexpected({ status, body }: Answer, what: string): void {
    this.model.findings.unexpected(`${what} was answered ${status}: ${JSON.stringify(body)}`)
  }

  #found(record: RoomRecord, kind: RoomKind, founders: Person[]): void {
    const [host] = founders as [Person, ...Person[]]
    // An attempt at an earlier one's end may come late and end this one.
    if (kind === 'Single' && !this.isFaithful(host)) record.mayEnd = true
    const isHall = founders.length === this.people.length
    this.rooms = [...this.rooms, { record, kind, host, members: new Set(founders), isHall, newest: undefined }]
  }
}

/** From a group that has its host and is no hall. */
export const mayLeave = ({ kind, host, isHall }: Room, person: Person) => kind === 'Group' && !isHall && person !== host
