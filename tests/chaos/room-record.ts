/** What is known of one room, by whoever was told first: each later word of it has to agree. */
import { createHash } from 'node:crypto'
import type { Answer } from '../support/person.ts'

export type Message = Answer['body']

/** A NewRoom or LeaveRoom that somebody was told of. */
export type Mark = { seq: number; joined: boolean }

/** How often something has happened: at least, and how many attempts more may or may not have done it. */
export type Count = { sure: number; doubtful: number }

/** Membership of one person, by roomSeq: they see what lies between, both ends excluded. */
export type Interval = { joined: number; left: number }

/** That somebody has read up to a message, and when that was so at the latest. */
export type Reading = { userId: string; roomSeq: number; at: number }

/** A room's messages are a millisecond apart at least, so that one in a burst is of a later time than it was sent at. */
const BURST_MS = 1_000

export class RoomRecord {
  readonly id: string
  /** Counts rooms, from 1. */
  readonly index: number
  /** Who was in it from the beginning; undefined until it is known. */
  founders: readonly string[] | undefined
  /** Somebody has tried something that ends the room. */
  mayEnd = false
  /** All attempts are over, and it is still there. */
  isSettled = false
  /** The highest roomSeq that was answered or seen in a timeline: from then on every timeline has to show it. */
  shown = 0
  readonly joins = new Map<string, Count>()
  readonly leaves = new Map<string, Count>()
  /** Who has tried to leave: that may have happened, or happen late. */
  readonly leavers = new Set<string>()
  /** Of UserReadChat events. */
  readonly reads = new Set<number>()
  /** To read up to there was asked for and answered. */
  readonly answeredReads: Reading[] = []
  /** By a UserReadChat, a message of their own, or their coming, which has read what was before. */
  readonly #readings: Reading[] = []
  readonly #marks = new Map<string, Mark[]>()
  readonly #changes: { roomSeq: number; userId: string; joined: boolean }[] = []
  /** By roomSeq. */
  readonly #digests: (string | undefined)[] = []
  readonly #seqs: (number | undefined)[] = []

  constructor(id: string, index: number) {
    this.id = id
    this.index = index
  }

  /** The highest roomSeq that anybody has heard of. */
  get head(): number {
    return Math.max(0, this.#digests.length - 1)
  }

  learn(message: Message): 'new' | 'known' | 'another' {
    const { roomSeq } = message
    const digest = digestOf(message)
    const known = this.#digests[roomSeq]
    if (known !== undefined) return known === digest ? 'known' : 'another'
    this.#digests[roomSeq] = digest
    const at = Date.parse(message.createdAt)
    if (message.msgType === 'RoomChange') {
      const userId = message.msgBody.related_user.id
      const joined = message.msgBody.type === 'UserJoined'
      this.#changes.push({ roomSeq, userId, joined })
      if (joined) this.#readings.push({ userId, roomSeq: roomSeq - 1, at })
    } else this.#readings.push({ userId: message.senderId, roomSeq, at })
    return 'new'
  }

  learnRead(seq: number, reading: Reading): void {
    if (!this.reads.has(seq)) this.#readings.push(reading)
    this.reads.add(seq)
  }

  /** Answered, although by what everybody was told they had not read so far. Only where every message is known. */
  get untoldReads(): Reading[] {
    return this.answeredReads.filter(
      (answered) =>
        !this.#readings.some(
          ({ userId, roomSeq, at }) =>
            userId === answered.userId && roomSeq >= answered.roomSeq && at <= answered.at + BURST_MS,
        ),
    )
  }

  knows(roomSeq: number): boolean {
    return this.#digests[roomSeq] !== undefined
  }

  /** @returns false where the message was heard of with another seq */
  learnSeq(roomSeq: number, seq: number): boolean {
    this.#seqs[roomSeq] ??= seq
    return this.#seqs[roomSeq] === seq
  }

  seqOf(roomSeq: number): number | undefined {
    return this.#seqs[roomSeq]
  }

  learnMark(userId: string, mark: Mark): void {
    const marks = this.#marks.get(userId) ?? []
    if (!marks.some(({ seq }) => seq === mark.seq)) marks.push(mark)
    this.#marks.set(userId, marks)
  }

  /** In order of seq. */
  marksOf(userId: string): Mark[] {
    return (this.#marks.get(userId) ?? []).sort((one, other) => one.seq - other.seq)
  }

  /** By what its messages say of comings and goings; whole only where every message is known. */
  intervalsOf(userId: string): Interval[] {
    const intervals: Interval[] = this.founders?.includes(userId) ? [{ joined: 0, left: Infinity }] : []
    const changes = this.#changes.filter((change) => change.userId === userId)
    for (const { roomSeq, joined } of changes.sort((one, other) => one.roomSeq - other.roomSeq)) {
      const last = intervals.at(-1)
      if (joined) intervals.push({ joined: roomSeq, left: Infinity })
      else if (last) last.left = roomSeq
    }
    return intervals
  }

  /** Everybody who was ever in it, as far as is known. */
  get people(): string[] {
    return [...new Set([...(this.founders ?? []), ...this.#changes.map(({ userId }) => userId), ...this.#marks.keys()])]
  }

  /** The first message whose seq is above `seq`; `head + 1` where there is none. */
  firstAfter(seq: number): number {
    let [low, high] = [1, this.head + 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#seqNear(middle) > seq) high = middle
      else low = middle + 1
    }
    return low
  }

  /** Of a message that nobody was told of: that of the newest one before it that somebody was told of. */
  #seqNear(roomSeq: number): number {
    for (let at = roomSeq; at > 0; at--) {
      const seq = this.#seqs[at]
      if (seq !== undefined) return seq
    }
    return 0
  }
}

export function countIn(counts: Map<string, Count>, key: string): Count {
  const count = counts.get(key) ?? { sure: 0, doubtful: 0 }
  counts.set(key, count)
  return count
}

/** Of what everybody sees alike. */
function digestOf({ messageId, senderId, msgType, msgBody, createdAt }: Message): string {
  const text = JSON.stringify([messageId, senderId, msgType, createdAt, msgBody])
  return createHash('sha1').update(text).digest('base64').slice(0, 22)
}
