/** Sends without end, each message until it is answered; some of them twice. */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Answer, Person } from '../support/person.ts'
import type { Random } from '../support/random.ts'
import { spread, weighted } from './chance.ts'
import type { Client } from './client.ts'
import type { Room, World } from './world.ts'

const PAUSE_MS = { least: 10, most: 300 }
/** Everybody has a stream, so the hall is dear. */
const HALL_SHARE = 0.05
const LONGEST_TEXT = 3_500

export class Sender {
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
      if (chosen?.room.isHall && this.#random.next() > HALL_SHARE) continue
      if (chosen) await this.send(chosen.room, chosen.member)
    }
  }

  /** @returns the roomSeq, where it was sent */
  async send(room: Room, sender: Person): Promise<number | undefined> {
    const { model } = this.#world
    const body = { chatRoomId: room.record.id, clientMessageId: randomUUID(), ...this.#content(room, sender) }
    let isAnswered = false
    const once = async () => {
      const { answer } = await this.#client.insist(sender, (device) => device.post('/api/send-msg', body))
      if (answer.status === 200 && !isAnswered) {
        isAnswered = true
        model.countAnswer()
      }
      return answer
    }
    model.tally.sends++
    const times = weighted(this.#random, { once: 8, together: 1, again: 1 })
    const answers = times === 'together' ? await Promise.all([once(), once()]) : [await once()]
    if (times === 'again') answers.push(await once())
    for (const answer of answers) this.#judge(room, sender, answer)
    const [first, second] = answers as [Answer, Answer?]
    if (first.status !== 200) return undefined
    if (second?.status === 200 && JSON.stringify(second.body) !== JSON.stringify(first.body))
      model.findings.fault('doubled', `one clientMessageId: ${JSON.stringify([first.body, second.body])}`)
    room.newest = first.body
    return first.body.roomSeq
  }

  #judge(room: Room, sender: Person, answer: Answer): void {
    if (answer.status === 200) this.#world.model.learn(answer.body, 'an answer')
    else this.#world.refused(room, sender, answer, 'sending')
  }

  #content(room: Room, sender: Person): Record<string, unknown> {
    const key = this.#world.model.newKey(sender)
    const { newest } = room
    const kind = weighted(this.#random, { Text: 8, Long: 0.3, Media: 1, Reply: newest ? 1 : 0 })
    const length = kind === 'Long' ? LONGEST_TEXT : 10 + this.#random.below(80)
    const text = key + 'lorem ipsum '.repeat(length / 12)
    if (kind === 'Media') {
      const msgBody = { mediaUrl: 'https://example.com/picture.jpeg', mediaType: 'image', altText: text }
      return { msgType: 'Media', msgBody }
    }
    if (kind === 'Reply' && newest) {
      const { messageId, createdAt } = newest
      return { msgType: 'Reply', msgBody: { replyMsgId: messageId, replyCreatedAt: createdAt, replyText: text } }
    }
    return { msgType: 'Text', msgBody: { text } }
  }
}
