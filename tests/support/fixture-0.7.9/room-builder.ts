/** Makes rooms of the fixture from plans: what ISM 0.7.9 would have stored of such members and messages. */
import type { Random } from '../random.ts'
import { converse, type LegacyMessage, previewOf } from './messages.ts'
import { type LegacyPerson, randomId } from './people.ts'
import { DAY, MINUTE, type Micros } from './time.ts'

export type LegacyMember = {
  userId: string
  joinedAt: Micros
  readAt: Micros | null
  state: 'Joined' | 'Left' | 'Invited'
}

export type LegacyRoom = {
  /** How tests call it; not stored. */
  label: string
  id: string
  type: 'Single' | 'Group'
  name: string | null
  createdAt: Micros
  latestMessage: Micros | null
  /** JSON. */
  preview: string | null
  hasPicture: boolean
  members: LegacyMember[]
  /** Oldest first. */
  messages: LegacyMessage[]
}

export type Plan = {
  /** Labels of people; `Left` and `Invited` stand after a colon. */
  members: string[]
  name?: string | null
  createdAt?: Micros
  hasPicture?: true
  messages?: LegacyMessage[]
  /** Without a time and a preview of the latest message. */
  isUntouched?: true
  /** Nobody ever read or sent. */
  isUnread?: true
}

/** `latest_message_preview_text` takes no more characters. */
const MAX_PREVIEW = 255

export class RoomBuilder {
  readonly rooms: LegacyRoom[] = []
  readonly people: LegacyPerson[]
  readonly #random: Random
  readonly #begin: Micros

  constructor(random: Random, people: LegacyPerson[], begin: Micros) {
    this.#random = random
    this.people = people
    this.#begin = begin
  }

  person(label: string): LegacyPerson {
    const person = this.people.find((each) => each.label === label)
    if (!person) throw new Error(`nobody is called ${label}`)
    return person
  }

  /** Messages by these people, within a day after the beginning unless `from` says otherwise. */
  say(labels: string[], count: number, more: { from?: Micros; spacing?: number } = {}): LegacyMessage[] {
    const from = this.#begin + this.#random.below(DAY)
    const senders = labels.map((label) => this.person(label))
    return converse(this.#random, senders, { count, from, ...more })
  }

  group(label: string, plan: Plan): void {
    this.#add('Group', label, plan.name === undefined ? `Room ${label}` : plan.name, plan)
  }

  single(label: string, plan: Plan): void {
    this.#add('Single', label, null, plan)
  }

  #add(type: LegacyRoom['type'], label: string, name: string | null, plan: Plan): void {
    const { messages = [], hasPicture = false, isUntouched = false } = plan
    const first = (messages[0]?.createdAt ?? Number.POSITIVE_INFINITY) * 1_000
    const createdAt = plan.createdAt ?? Math.min(this.#begin, first) - DAY + 987_654
    // A preview that did not fit failed after the message was stored: then the row knows nothing of the message.
    const last = messages.findLast((message) => [...this.#previewOf(message)].length <= MAX_PREVIEW)
    const unspoken = { latestMessage: isUntouched ? null : createdAt, preview: isUntouched ? null : '{"type":"New"}' }
    const { latestMessage, preview } = last
      ? { latestMessage: this.#writtenAt(last), preview: this.#previewOf(last) }
      : unspoken
    const members = plan.members.map((member) => {
      const [who = '', state = 'Joined'] = member.split(':')
      const userId = this.person(who).id
      const readAt = plan.isUnread ? null : this.#readAt(latestMessage ?? createdAt, userId === last?.senderId)
      return { userId, joinedAt: createdAt + this.#random.below(2_000), readAt, state: state as LegacyMember['state'] }
    })
    const id = randomId(this.#random)
    this.rooms.push({ label, id, type, name, createdAt, latestMessage, preview, hasPicture, members, messages })
  }

  #previewOf(message: LegacyMessage): string {
    return previewOf(message, this.people.find(({ id }) => id === message.senderId) as LegacyPerson)
  }

  /** By the clock of PostgreSQL: after the message was stored, but before it where somebody joined. */
  #writtenAt({ createdAt, body }: LegacyMessage): Micros {
    const later = 1_000 + this.#random.below(40_000)
    return createdAt * 1_000 + (body.startsWith('{"type":"UserJoined"') ? -later : later)
  }

  /** Who spoke last has read at that very moment; others long before, a microsecond short of it, then, later, or never. */
  #readAt(latest: Micros, isLastSender: boolean): Micros | null {
    return isLastSender ? latest : this.#random.pick([null, latest - DAY, latest - 1, latest, latest + 60 * MINUTE])
  }
}
