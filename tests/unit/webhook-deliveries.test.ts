/** A webhook's deliveries, with a receiver whose answers a test gives: order, tries, what is given up, what is held. */
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Answer } from '../../src/deliveries/answer.ts'
import { MAX_REFUSALS } from '../../src/deliveries/back-off.ts'
import { AT_ONCE, createWebhookDeliveries, type WebhookDeliveries } from '../../src/webhooks/webhook-deliveries.ts'
import { eventually } from '../support/eventually.ts'
import { logEvent } from '../support/log-event.ts'

const EPOCH = 'e1'
const ACCEPTED: Answer = { outcome: 'accepted' }
const REFUSED: Answer = { outcome: 'refused', reason: 'answered 400' }
const UNANSWERED: Answer = { outcome: 'unanswered', reason: 'no answer (ECONNREFUSED)' }

type Try = { seq: number; at: number; answer(answer: Answer): void; signal: AbortSignal | undefined }

let deliveries: WebhookDeliveries
/** Each request, oldest first. */
let tries: Try[]
let answering: (seq: number, nth: number) => Answer | undefined | Promise<Answer>
let atOnce: number
let mostAtOnce: number
let buried: { seq: number; reason: string; attempts: number; id: string }[]
let buryFails: number
let mayDeliver: boolean
let drained: number
const observed = vi.fn()

beforeEach(() => {
  tries = []
  buried = []
  answering = () => ACCEPTED
  ;[atOnce, mostAtOnce, buryFails, drained] = [0, 0, 0, 0]
  mayDeliver = true
  observed.mockReset()
  deliveries = createWebhookDeliveries(
    {
      async deliver({ id }, signal) {
        const seq = Number(id.split('_').at(-1))
        mostAtOnce = Math.max(mostAtOnce, ++atOnce)
        const answer = await new Promise<Answer>((resolve) => {
          const giveUp = () => resolve({ outcome: 'unanswered', reason: 'given up' })
          const answer = (given: Answer) => {
            signal?.removeEventListener('abort', giveUp)
            resolve(given)
          }
          signal?.addEventListener('abort', giveUp)
          tries.push({ seq, at: performance.now(), answer, signal })
          void Promise.resolve(answering(seq, triesOf(seq))).then((given) => given && answer(given))
        })
        atOnce--
        return answer
      },
      async close() {},
    },
    {
      name: 'backend',
      epoch: EPOCH,
      async bury(seq, { id }, reason, attempts) {
        if (buryFails-- > 0) throw new Error('the database is away')
        buried.push({ seq, reason, attempts, id })
      },
      mayDeliver: () => mayDeliver,
      drained: () => drained++,
      observe: {
        webhookDelivered() {},
        webhookRefused() {},
        webhookUnanswered: observed,
        webhookDied: observed,
      },
      backOff: { firstMs: 2, maxMs: 20 },
    },
  )
})
afterEach(async () => {
  deliveries.abandon()
  await deliveries.stop()
})

const triesOf = (seq: number) => tries.filter((each) => each.seq === seq).length
const seqs = () => tries.map(({ seq }) => seq)
const MESSAGE = { senderId: 's', messageId: 'm', messageType: 1, createdAt: new Date(0) } as const
const message = (seq: number, roomId: string, fields = {}) => logEvent(seq, { roomId, ...MESSAGE, ...fields })
const forPeople = (seq: number, ...recipients: string[]) =>
  logEvent(seq, { type: 8, roomId: null, recipients, body: '{"message":null}' })
const allDone = () => eventually('all is done', async () => deliveries.doneUpTo() === Number.POSITIVE_INFINITY)

describe('order', () => {
  test('of a room holds while its receiver fails now and then; other rooms do not wait', async () => {
    const accepted: number[] = []
    answering = (seq, nth) => {
      // Each third seq fails twice, by both kinds of failure.
      const answer = seq % 3 === 0 && nth <= 2 ? (nth === 1 ? REFUSED : UNANSWERED) : ACCEPTED
      if (answer === ACCEPTED) accepted.push(seq)
      return answer
    }
    deliveries.add(Array.from({ length: 60 }, (_, n) => message(n + 1, n % 2 ? 'even' : 'odd')))
    await allDone()
    for (const parity of [0, 1]) {
      const room = accepted.filter((seq) => seq % 2 === parity)
      expect(room).toEqual(room.toSorted((a, b) => a - b))
      expect(room).toHaveLength(30)
    }
    expect(buried).toEqual([])
  })

  test('of a person holds over what is for several', async () => {
    answering = () => undefined
    deliveries.add([forPeople(1, 'alice', 'bob'), forPeople(2, 'bob'), forPeople(3, 'carol'), forPeople(4, 'alice')])
    expect(seqs()).toEqual([1, 3])
    tries[0]?.answer(ACCEPTED)
    await eventually('the two behind it', async () => tries.length === 4)
    expect(seqs()).toEqual([1, 3, 2, 4])
  })

  test('what is about a room for some people waits for both', async () => {
    answering = () => undefined
    const newRoom = logEvent(1, { type: 3, roomId: 'room', recipients: ['alice'], body: '{"room":{}}' })
    deliveries.add([newRoom, message(2, 'room'), forPeople(3, 'alice')])
    expect(seqs()).toEqual([1])
  })

  test('many rooms go side by side, to a limit', async () => {
    answering = () => delay(1, ACCEPTED)
    deliveries.add(Array.from({ length: 200 }, (_, n) => message(n + 1, `room ${n}`)))
    await allDone()
    expect(mostAtOnce).toBe(AT_ONCE)
  })
})

describe('a receiver that is not there', () => {
  test('is asked one at a time, until it is back, and then nothing waits on', async () => {
    let isBack = false
    answering = () => (isBack ? ACCEPTED : UNANSWERED)
    deliveries.add(Array.from({ length: 100 }, (_, n) => message(n + 1, `room ${n}`)))
    await eventually('it is down', async () => tries.length >= AT_ONCE + 5)
    mostAtOnce = 0
    const before = tries.length
    await eventually('more tries', async () => tries.length >= before + 10)
    expect(mostAtOnce).toBe(1)
    expect(deliveries.doneUpTo()).toBe(0)
    isBack = true
    await allDone()
    expect(buried).toEqual([])
  })

  test('is never given up', async () => {
    answering = (_, nth) => (nth < MAX_REFUSALS * 3 ? UNANSWERED : ACCEPTED)
    deliveries.add([message(1, 'room')])
    await allDone()
    expect(triesOf(1)).toBe(MAX_REFUSALS * 3)
    expect(buried).toEqual([])
  })

  test('is left alone for as long as it asks', async () => {
    answering = () =>
      tries.length === 1 ? { outcome: 'unanswered', reason: 'answered 429', retryAfterMs: 300 } : ACCEPTED
    deliveries.add([message(1, 'room')])
    await eventually('it was asked', async () => observed.mock.calls.length === 1)
    deliveries.add([message(2, 'other')])
    await allDone()
    expect((tries[1]?.at ?? 0) - (tries[0]?.at ?? 0)).toBeGreaterThan(290)
    expect(seqs().toSorted()).toEqual([1, 1, 2])
  })
})

describe('an event that is refused', () => {
  test('is buried after so many tries, and its room goes on', async () => {
    answering = (seq) => (seq === 1 ? REFUSED : ACCEPTED)
    deliveries.add([message(1, 'room'), message(2, 'room'), message(3, 'other')])
    await allDone()
    expect(triesOf(1)).toBe(MAX_REFUSALS)
    expect(buried).toEqual([{ seq: 1, reason: 'answered 400', attempts: MAX_REFUSALS, id: `evt_${EPOCH}_1` }])
    expect(seqs().at(-1)).toBe(2)
    expect(observed).toHaveBeenCalledWith('backend', 1, 'answered 400')
  })

  test('stays where the database cannot take it, and is buried later', async () => {
    buryFails = 2
    answering = (seq) => (seq === 1 ? REFUSED : ACCEPTED)
    deliveries.add([message(1, 'room'), message(2, 'room')])
    await eventually('it could not be buried', async () => buryFails < 2)
    expect(triesOf(2)).toBe(0)
    await allDone()
    expect(buried).toHaveLength(1)
  })

  test('does not count tries without an answer', async () => {
    answering = (_, nth) => (nth % 2 ? UNANSWERED : nth < 2 * MAX_REFUSALS ? REFUSED : ACCEPTED)
    deliveries.add([message(1, 'room')])
    await allDone()
    expect(buried).toEqual([])
  })
})

describe('an event that gets no answer', () => {
  /** Accepted, in a room of its own. */
  let next: number
  const takeAnother = async () => {
    const seq = next++
    deliveries.add([message(seq, `room ${seq}`)])
    await eventually('it is taken', async () => tries.some((each) => each.seq === seq))
  }
  beforeEach(() => {
    next = 10_000
  })

  test('while others are taken is buried after so many tries, and its room goes on', async () => {
    answering = (seq) => (seq === 1 ? UNANSWERED : ACCEPTED)
    deliveries.add([message(1, 'room'), message(2, 'room')])
    await eventually('it is given up', async () => {
      await takeAnother()
      return buried.length > 0
    })
    await allDone()
    expect(buried).toEqual([
      { seq: 1, reason: 'no answer (ECONNREFUSED)', attempts: MAX_REFUSALS, id: `evt_${EPOCH}_1` },
    ])
    expect(triesOf(1)).toBeGreaterThan(MAX_REFUSALS)
    expect(triesOf(2)).toBe(1)
    expect(observed).toHaveBeenCalledWith('backend', 1, 'no answer (ECONNREFUSED)')
  })

  test('stays when the receiver took others before, and is down since', async () => {
    answering = (seq) => (seq === 1 || seq > 10_003 ? UNANSWERED : ACCEPTED)
    deliveries.add([message(1, 'room')])
    for (let n = 0; n < 6; n++) await takeAnother()
    const before = triesOf(1)
    await eventually('many tries', async () => triesOf(1) > before + 2 * MAX_REFUSALS)
    expect(buried).toEqual([])
  })

  test('of a receiver that is busy stays: what is taken tells of one other at most', async () => {
    // Of a hundred rooms, in turn, one in ten tries is taken.
    answering = () => (tries.length % 10 === 0 ? ACCEPTED : UNANSWERED)
    deliveries.add(Array.from({ length: 300 }, (_, n) => message(n + 1, `room ${n % 100}`)))
    await eventually('all is taken', async () => deliveries.doneUpTo() === Number.POSITIVE_INFINITY, 60_000)
    expect(buried).toEqual([])
  }, 90_000)

  test('is buried although all else that is held waits behind it', async () => {
    answering = (seq) => (seq === 1 ? UNANSWERED : ACCEPTED)
    deliveries.add(Array.from({ length: 1_999 }, (_, n) => message(n + 1, 'room')))
    await eventually('it is suspect', async () => {
      await takeAnother()
      return triesOf(1) > 5
    })
    deliveries.add(Array.from({ length: 100 }, (_, n) => message(20_000 + n, 'room')))
    expect(deliveries.isFull()).toBe(true)
    await allDone()
    expect(buried).toMatchObject([{ seq: 1, attempts: MAX_REFUSALS }])
  })

  test('stays where all that is held waits behind it, and it was never known from a receiver that is down', async () => {
    answering = (_, nth) => (nth === 1 ? REFUSED : UNANSWERED)
    deliveries.add(Array.from({ length: 2_000 }, (_, n) => message(n + 1, 'room')))
    await eventually('many tries', async () => triesOf(1) > 3 * MAX_REFUSALS)
    expect(buried).toEqual([])
  })
})

test('what is done reaches below the oldest that is not', async () => {
  answering = () => undefined
  deliveries.add([message(10, 'a'), message(20, 'b'), message(30, 'c')])
  expect(deliveries.doneUpTo()).toBe(9)
  tries[1]?.answer(ACCEPTED)
  tries[2]?.answer(ACCEPTED)
  await delay(5)
  expect(deliveries.doneUpTo()).toBe(9)
  tries[0]?.answer(ACCEPTED)
  await allDone()
})

describe('what is held in memory is bounded', () => {
  test('by number', async () => {
    answering = () => undefined
    deliveries.add(Array.from({ length: 1_999 }, (_, n) => message(n + 1, 'room')))
    expect(deliveries.isFull()).toBe(false)
    deliveries.add([message(2_000, 'room')])
    expect(deliveries.isFull()).toBe(true)
    expect(drained).toBe(0)
    answering = () => ACCEPTED
    tries[0]?.answer(ACCEPTED)
    await allDone()
    expect([deliveries.isFull(), drained]).toEqual([false, 1])
  })

  test('by size', async () => {
    answering = () => undefined
    const body = JSON.stringify({ message: 'x'.repeat(1024 * 1024) })
    deliveries.add(Array.from({ length: 15 }, (_, n) => logEvent(n + 1, { type: 8, body })))
    expect(deliveries.isFull()).toBe(false)
    deliveries.add([logEvent(16, { type: 8, body })])
    expect(deliveries.isFull()).toBe(true)
  })
})

describe('a node that may not deliver', () => {
  test('waits until it may', async () => {
    mayDeliver = false
    deliveries.add([message(1, 'room')])
    await delay(50)
    expect(tries).toEqual([])
    mayDeliver = true
    await allDone()
  })

  test('leaves it to another to give up what was refused', async () => {
    answering = (_, nth) => {
      mayDeliver = nth !== MAX_REFUSALS
      return REFUSED
    }
    deliveries.add([message(1, 'room')])
    await eventually('its last try', async () => triesOf(1) === MAX_REFUSALS)
    await delay(5)
    expect(buried).toEqual([])
    mayDeliver = true
    await allDone()
    expect(buried).toHaveLength(1)
  })

  test('forgets everything where another took over, what is on its way and what waits', async () => {
    answering = (seq) => (seq === 1 ? undefined : UNANSWERED)
    deliveries.add([message(1, 'a'), message(2, 'b'), message(3, 'a')])
    await eventually('both were tried', async () => tries.length >= 2)
    deliveries.abandon()
    expect(tries[0]?.signal?.aborted).toBe(true)
    expect(deliveries.doneUpTo()).toBe(Number.POSITIVE_INFINITY)
    const before = tries.length
    await delay(60)
    expect(tries).toHaveLength(before)
    answering = () => ACCEPTED
    deliveries.add([message(3, 'a')])
    await allDone()
    expect(seqs().slice(before)).toEqual([3])
  })
})

describe('at its end', () => {
  test('what is on its way may still arrive, and nothing more is sent', async () => {
    answering = () => undefined
    deliveries.add([message(1, 'a'), message(2, 'a')])
    const stopped = deliveries.stop()
    tries[0]?.answer(ACCEPTED)
    await stopped
    expect(deliveries.doneUpTo()).toBe(1)
    expect(seqs()).toEqual([1])
  })

  test('a receiver that hangs is not waited for', async () => {
    answering = () => undefined
    deliveries.add([message(1, 'a')])
    const started = performance.now()
    await deliveries.stop()
    expect(performance.now() - started).toBeLessThan(4_000)
    expect(tries[0]?.signal?.aborted).toBe(true)
    expect(deliveries.doneUpTo()).toBe(0)
  })
})
