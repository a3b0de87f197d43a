/** Delivers a webhook's events: rooms side by side, each in its order, tried again until taken or given up. */
import { setMaxListeners } from 'node:events'
import type { Answer } from '../deliveries/answer.ts'
import { type BackOff, backOffMs, DELIVERY_BACK_OFF, MAX_REFUSALS } from '../deliveries/back-off.ts'
import type { LogEvent } from '../log/event.ts'
import type { UnderWay } from '../log/projector.ts'
import { createInOrder, type Place } from './in-order.ts'
import type { Receiver } from './receiver.ts'
import { type WebhookMessage, webhookMessage } from './webhook-message.ts'

export type DeliveryObserver = {
  webhookDelivered(name: string): void
  webhookRefused(name: string, reason: string): void
  webhookUnanswered(name: string, reason: string): void
  webhookDied(name: string, seq: number, reason: string): void
}

export type WebhookDeliveriesOptions = {
  name: string
  /** The log's. */
  epoch: string
  /** Keeps a message that was refused for good. */
  bury(seq: number, message: WebhookMessage, reason: string, attempts: number): Promise<void>
  /** Whether this node may deliver at this moment. */
  mayDeliver(): boolean
  /** There is room again. */
  drained(): void
  observe: DeliveryObserver
  backOff?: BackOff
}

export type WebhookDeliveries = UnderWay & { add(events: LogEvent[]): void }

type Delivery = {
  event: LogEvent
  /** Tries that count against it. */
  refusals: number
  /** Tries that say nothing of it, since the last one that did. */
  unanswered: number
  /** How many others the receiver had taken when this was last tried. */
  takenBefore: number
  /** It got no answer while others were taken, once at least. */
  isSuspect: boolean
}

/** Requests at a time. So many without an answer in a row, and the receiver counts as down: then one at a time. */
export const AT_ONCE = 16
/** What is held in memory, before the page of the log that goes past it. */
const MAX_EVENTS = 2_000
const MAX_BYTES = 16 * 1024 * 1024
const UUID_TEXT_BYTES = 40
const LOOK_AGAIN_MS = 250
/** Of a node that stops; the lease is given up afterwards. */
const STOP_MS = 2_000

export function createWebhookDeliveries(receiver: Receiver, options: WebhookDeliveriesOptions): WebhookDeliveries {
  const { name, epoch, observe, backOff = DELIVERY_BACK_OFF } = options
  let work = newWork()
  let running = 0
  let unansweredInRow = 0
  let taken = 0
  /** Of `taken`, when a try without an answer last counted. */
  let takenAtCount = 0
  let pausedUntil = 0
  let isStopped = false
  let stopped: Promise<void> | undefined
  let idle = () => {}

  /** All that is forgotten when it is abandoned. */
  function newWork() {
    const giveUp = new AbortController()
    setMaxListeners(AT_ONCE, giveUp.signal)
    return {
      order: createInOrder<Delivery>(),
      /** By seq, which rises. */
      pending: new Map<number, Place<Delivery>>(),
      bytes: 0,
      ready: [] as Place<Delivery>[],
      waiting: new Map<Place<Delivery>, NodeJS.Timeout>(),
      looking: undefined as NodeJS.Timeout | undefined,
      giveUp,
    }
  }

  const isFull = () => work.pending.size >= MAX_EVENTS || work.bytes >= MAX_BYTES
  const isDown = () => unansweredInRow >= AT_ONCE

  function pump(): void {
    while (!isStopped && running < (isDown() ? 1 : AT_ONCE) && work.ready.length > 0) {
      const pause = options.mayDeliver() ? pausedUntil - performance.now() : LOOK_AGAIN_MS
      if (pause > 0) {
        work.looking ??= setTimeout(() => {
          work.looking = undefined
          pump()
        }, pause)
        return
      }
      const place = work.ready.shift()
      if (place) void attempt(place)
    }
  }

  async function attempt(place: Place<Delivery>): Promise<void> {
    const mine = work
    running++
    const { event } = place.item
    const message = webhookMessage(event, epoch)
    try {
      const answer = await receiver.deliver(message, mine.giveUp.signal)
      if (mine === work) await judge(place, message, answer)
    } finally {
      running--
      if (running === 0) idle()
      pump()
    }
  }

  async function judge(place: Place<Delivery>, message: WebhookMessage, answer: Answer): Promise<void> {
    const delivery = place.item
    if (answer.outcome === 'unanswered') {
      if (isStopped) return
      observe.webhookUnanswered(name, answer.reason)
      unansweredInRow++
      const pause = isDown() ? backOffMs(unansweredInRow - AT_ONCE + 1, backOff) : 0
      pausedUntil = Math.max(pausedUntil, performance.now() + Math.max(pause, answer.retryAfterMs ?? 0))
      const counts = takesOthersThan(delivery)
      delivery.takenBefore = taken
      if (!counts) return wait(place, backOffMs(delivery.refusals + ++delivery.unanswered, backOff))
      takenAtCount = taken
      delivery.isSuspect = true
      await countAgainst(place, message, answer.reason)
      return
    }
    if (isDown()) hurry()
    unansweredInRow = 0
    if (answer.outcome === 'accepted') {
      taken++
      observe.webhookDelivered(name)
      finish(place)
      return
    }
    observe.webhookRefused(name, answer.reason)
    await countAgainst(place, message, answer.reason)
  }

  /**
   * Whether it is the delivery that gets no answer, and not the receiver that gives none. What was taken tells of one
   * delivery at most: a receiver that takes few of many, since it is busy, is not to lose what it will take later.
   */
  function takesOthersThan(delivery: Delivery): boolean {
    return taken > Math.max(delivery.takenBefore, takenAtCount) || isStuck()
  }

  /** All that is held waits behind suspects, and there is no room: nothing can be taken that would tell. */
  function isStuck(): boolean {
    return isFull() && [...work.pending.values()].every(({ before, item }) => before > 0 || item.isSuspect)
  }

  async function countAgainst(place: Place<Delivery>, message: WebhookMessage, reason: string): Promise<void> {
    const delivery = place.item
    delivery.unanswered = 0
    delivery.refusals++
    // Where another node delivers meanwhile, it is for that one to judge.
    const isLast = delivery.refusals >= MAX_REFUSALS && options.mayDeliver()
    if (isLast) await bury(place, message, reason)
    else wait(place, backOffMs(delivery.refusals, backOff))
  }

  async function bury(place: Place<Delivery>, message: WebhookMessage, reason: string): Promise<void> {
    const mine = work
    const { seq } = place.item.event
    try {
      await options.bury(seq, message, reason, place.item.refusals)
    } catch {
      // The database is away: the projection fails by itself. Refused once more, it comes here again.
      if (mine === work) wait(place, backOff.maxMs)
      return
    }
    observe.webhookDied(name, seq, reason)
    if (mine === work) finish(place)
  }

  function finish(place: Place<Delivery>): void {
    const wasFull = isFull()
    work.pending.delete(place.item.event.seq)
    work.bytes -= weight(place.item.event)
    work.ready.push(...work.order.done(place))
    if (wasFull && !isFull()) options.drained()
  }

  function wait(place: Place<Delivery>, milliseconds: number): void {
    if (isStopped) return
    const mine = work
    const timer = setTimeout(() => {
      mine.waiting.delete(place)
      mine.ready.push(place)
      pump()
    }, milliseconds)
    mine.waiting.set(place, timer)
  }

  /** The receiver is back: what waits because it was not there need wait no longer. */
  function hurry(): void {
    for (const [place, timer] of work.waiting) {
      if (place.item.unanswered === 0) continue
      clearTimeout(timer)
      work.waiting.delete(place)
      work.ready.push(place)
    }
  }

  function abandon(): void {
    for (const timer of work.waiting.values()) clearTimeout(timer)
    clearTimeout(work.looking)
    work.giveUp.abort()
    work = newWork()
  }

  /** What is on its way may still arrive. */
  async function stop(): Promise<void> {
    isStopped = true
    for (const timer of work.waiting.values()) clearTimeout(timer)
    clearTimeout(work.looking)
    const deadline = setTimeout(() => work.giveUp.abort(), STOP_MS)
    if (running > 0) await new Promise<void>((resolve) => (idle = resolve))
    clearTimeout(deadline)
    await receiver.close()
  }

  return {
    isFull,
    abandon,
    add(events) {
      for (const event of events) {
        const delivery: Delivery = {
          event,
          refusals: 0,
          unanswered: 0,
          takenBefore: Number.POSITIVE_INFINITY,
          isSuspect: false,
        }
        const place = work.order.add(delivery, keysOf(event))
        work.pending.set(event.seq, place)
        work.bytes += weight(event)
        if (place.before === 0) work.ready.push(place)
      }
      pump()
    },
    doneUpTo() {
      const [oldest] = work.pending.keys()
      return oldest === undefined ? Number.POSITIVE_INFINITY : oldest - 1
    },
    stop() {
      stopped ??= stop()
      return stopped
    },
  }
}

/** A room's events are in order, and so are a person's; an event about a room for some people is among both. */
function keysOf({ roomId, recipients }: LogEvent): string[] {
  return [...(roomId === null ? [] : [roomId]), ...(recipients ?? [])]
}

const weight = ({ body, preview, recipients }: LogEvent) =>
  body.length + (preview?.length ?? 0) + (recipients?.length ?? 0) * UUID_TEXT_BYTES
