/** Pushes on their way: batched, in each person's order whatever the receiver does, and none is lost. */
import fc from 'fast-check'
import { afterEach, expect, test, vi } from 'vitest'
import type { Answer } from '../../src/deliveries/answer.ts'
import { createOutboundHttp } from '../../src/infra/outbound-http.ts'
import { type Push, pushJson, sizeOf } from '../../src/push/push.ts'
import { PushQueue, type PushQueueOptions } from '../../src/push/push-queue.ts'
import type { PushTarget } from '../../src/push/push-target.ts'
import { createHttpPushTarget } from '../../src/push/push-target-http.ts'

const ACCEPTED: Answer = { outcome: 'accepted' }
const refused = (reason = 'answered 400'): Answer => ({ outcome: 'refused', reason })
const unanswered = (more: { retryAfterMs?: number } = {}): Answer => ({
  outcome: 'unanswered',
  reason: 'answered 503',
  ...more,
})

const push = (seq: number, users: string[], loggedAt = Date.now()): Push => {
  return { seq, loggedAt, users, notification: `{"seq":${seq}}`, attempts: 0 }
}

afterEach(() => {
  vi.useRealTimers()
})

function queueFor(answer: (pushes: Push[]) => Answer | Promise<Answer>, options: Partial<PushQueueOptions> = {}) {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] })
  const tried: Push[][] = []
  const accepted: Push[] = []
  const dead: { push: Push; reason: string }[] = []
  const target: PushTarget = {
    name: 'push:test',
    maxPushes: 8,
    maxBytes: 10_000,
    async send(pushes) {
      tried.push(pushes.map((each) => ({ ...each })))
      const judged = await answer(pushes)
      if (judged.outcome === 'accepted') accepted.push(...pushes)
      return judged
    },
    async close() {},
  }
  const queue = new PushQueue(
    target,
    {
      maxAgeMs: 3_600_000,
      now: () => Date.now(),
      mayDeliver: () => true,
      bury: async (given) => void dead.push(...given),
      drained() {},
      ...options,
    },
    { pushed() {}, pushRefused() {}, pushUnanswered() {}, pushesDied() {} },
  )
  return { queue, tried, accepted, dead }
}

const seqsFor = (pushes: Push[], user: string) =>
  pushes.filter(({ users }) => users.includes(user)).map(({ seq }) => seq)

test('they go in batches, of so many and of so many bytes', async () => {
  const { queue, tried } = queueFor(() => ACCEPTED)
  queue.add(Array.from({ length: 20 }, (_, n) => push(n, ['a'])))
  queue.add([{ ...push(20, ['a']), notification: 'x'.repeat(9_990) }, push(21, ['a'])])
  await vi.runAllTimersAsync()
  expect(tried.map((batch) => batch.length)).toEqual([8, 8, 4, 1, 1])
  expect(queue.oldestSeq).toBe(Number.POSITIVE_INFINITY)
})

test('one that is refused is found by halving, tried twenty times, and dies alone; the rest goes on meanwhile', async () => {
  const { queue, tried, accepted, dead } = queueFor((pushes) =>
    pushes.some(({ seq }) => seq === 3) ? refused() : ACCEPTED,
  )
  queue.add(Array.from({ length: 8 }, (_, n) => push(n, [`user ${n}`])))
  await vi.advanceTimersByTimeAsync(100)
  expect(seqsFor(accepted, 'user 2')).toEqual([2])
  expect(accepted.map(({ seq }) => seq)).toEqual([0, 1, 2, 4, 5, 6, 7])
  expect(queue.oldestSeq).toBe(3)
  expect(queue.trouble).toBeUndefined()
  await vi.advanceTimersByTimeAsync(120_000)
  expect(dead).toEqual([])
  await vi.advanceTimersByTimeAsync(400_000)
  expect(tried.filter((batch) => batch.length === 1 && batch[0]?.seq === 3)).toHaveLength(20)
  expect(dead).toMatchObject([{ push: { seq: 3 }, reason: 'refused 20 times: answered 400' }])
  expect(queue.oldestSeq).toBe(Number.POSITIVE_INFINITY)
})

test('a room whose members are held up one by one costs neither minutes nor much memory, and all get all in order', {
  timeout: 60_000,
}, async () => {
  const people = Array.from({ length: 1_000 }, (_, n) => `user ${n}`)
  let isBroken = true
  const { queue, accepted } = queueFor(() => (isBroken ? refused('answered 500') : ACCEPTED))
  queue.add(people.map((user, n) => push(n, [user])))
  await vi.advanceTimersByTimeAsync(1_000)
  const [startedAt, heapBefore] = [process.hrtime.bigint(), process.memoryUsage().heapUsed]
  queue.add(Array.from({ length: 2_000 }, (_, n) => push(1_000 + n, people)))
  await vi.advanceTimersByTimeAsync(1_000)
  expect(Number(process.hrtime.bigint() - startedAt) / 1e6).toBeLessThan(5_000)
  expect((process.memoryUsage().heapUsed - heapBefore) / 1024 ** 2).toBeLessThan(150)
  isBroken = false
  await vi.advanceTimersByTimeAsync(120_000)
  expect(queue.oldestSeq).toBe(Number.POSITIVE_INFINITY)
  const got = new Map<string, number[]>(people.map((user) => [user, []]))
  for (const { seq, users } of accepted) for (const user of users) got.get(user)?.push(seq)
  const toAll = Array.from({ length: 2_000 }, (_, n) => 1_000 + n)
  expect([...got.values()].filter((seqs, n) => seqs.join() !== [n, ...toAll].join())).toEqual([])
})

test('health is as before once the last refused one was given up', async () => {
  const { queue, dead } = queueFor(() => refused())
  queue.add([push(0, ['a'])])
  await vi.advanceTimersByTimeAsync(100)
  expect(queue.trouble).toBe('answered 400')
  await vi.advanceTimersByTimeAsync(520_000)
  expect(dead).toHaveLength(1)
  expect(queue.trouble).toBeUndefined()
})

test('a receiver that is slow a push gets smaller batches, and everything without many duplicates', async () => {
  const { queue, tried, accepted } = queueFor(async (pushes) => {
    await new Promise((resolve) => setTimeout(resolve, Math.min(10_000, 4_000 * pushes.length)))
    return pushes.length > 2 ? unanswered() : ACCEPTED
  })
  queue.add(Array.from({ length: 100 }, (_, n) => push(n, [`user ${n}`])))
  await vi.advanceTimersByTimeAsync(1_800_000)
  expect(accepted.map(({ seq }) => seq)).toEqual(Array.from({ length: 100 }, (_, n) => n))
  const sent = tried.reduce((sum, batch) => sum + batch.length, 0)
  expect(sent).toBeLessThan(300)
})

test('batches grow again once the receiver is back', async () => {
  let isDown = true
  const { queue, tried } = queueFor(() => (isDown ? unanswered() : ACCEPTED))
  queue.add(Array.from({ length: 100 }, (_, n) => push(n, [`user ${n}`])))
  await vi.advanceTimersByTimeAsync(60_000)
  expect(tried.at(-1)).toHaveLength(1)
  isDown = false
  await vi.advanceTimersByTimeAsync(60_000)
  expect(queue.oldestSeq).toBe(Number.POSITIVE_INFINITY)
  expect(Math.max(...tried.slice(-4).map((batch) => batch.length))).toBe(8)
})

test('one that makes the receiver hang dies alone; its people get the rest after it, all others theirs meanwhile', async () => {
  const { queue, accepted, dead } = queueFor(async (pushes) => {
    if (!pushes.some(({ seq }) => seq === 3)) return ACCEPTED
    await new Promise((resolve) => setTimeout(resolve, 10_000))
    return unanswered()
  })
  queue.add(Array.from({ length: 20 }, (_, n) => push(n, [n === 12 ? 'user 3' : `user ${n}`])))
  await vi.advanceTimersByTimeAsync(120_000)
  expect(accepted.map(({ seq }) => seq)).toEqual([...Array(20).keys()].filter((n) => n !== 3 && n !== 12))
  for (let n = 20; n < 1_000; n++) {
    queue.add([push(n, [`user ${n}`])])
    await vi.advanceTimersByTimeAsync(1_000)
  }
  expect(dead).toMatchObject([{ push: { seq: 3 }, reason: 'refused 20 times: answered 503' }])
  expect(accepted.at(-1)?.seq).toBe(999)
  expect(seqsFor(accepted, 'user 3')).toEqual([12])
})

test('a receiver that is down for long makes nothing dead, is asked seldom, and then gets all, in order', async () => {
  let isDown = true
  const { queue, tried, accepted, dead } = queueFor(() => (isDown ? unanswered() : ACCEPTED), { maxAgeMs: 7_200_000 })
  for (let n = 0; n < 300; n++) {
    queue.add([push(n, [`user ${n % 7}`])])
    await vi.advanceTimersByTimeAsync(10_000)
  }
  expect(dead).toEqual([])
  expect(tried.length).toBeLessThan(300)
  isDown = false
  await vi.advanceTimersByTimeAsync(60_000)
  expect(queue.oldestSeq).toBe(Number.POSITIVE_INFINITY)
  for (let user = 0; user < 7; user++)
    expect(seqsFor(accepted, `user ${user}`)).toEqual([...Array(300).keys()].filter((n) => n % 7 === user))
})

test('some that are refused again and again do not keep the others waiting', async () => {
  const { queue, tried, accepted } = queueFor(async (pushes) => {
    await new Promise((resolve) => setTimeout(resolve, 100))
    return pushes.some(({ seq }) => seq < 500) ? refused() : ACCEPTED
  })
  queue.add(Array.from({ length: 500 }, (_, n) => push(n, [`poor ${n}`])))
  await vi.advanceTimersByTimeAsync(210_000)
  queue.add(Array.from({ length: 80 }, (_, n) => push(500 + n, [`user ${n}`])))
  const before = tried.length
  await vi.advanceTimersByTimeAsync(2_500)
  expect(accepted).toHaveLength(80)
  // The held ones have their turns meanwhile.
  expect(tried.slice(before).filter((batch) => batch[0] && batch[0].seq < 500).length).toBeGreaterThan(8)
})

test('what gathered behind a refused one goes in batches of so many bytes', async () => {
  let refusals = 0
  const { queue, tried, accepted } = queueFor((pushes) =>
    pushes[0]?.seq === 0 && ++refusals < 4 ? refused() : ACCEPTED,
  )
  queue.add([push(0, ['a'])])
  await vi.advanceTimersByTimeAsync(10)
  queue.add(Array.from({ length: 16 }, (_, n) => ({ ...push(n + 1, ['a']), notification: 'x'.repeat(4_000) })))
  await vi.advanceTimersByTimeAsync(60_000)
  expect(seqsFor(accepted, 'a')).toEqual([...Array(17).keys()])
  for (const batch of tried) expect(batch.length).toBeLessThanOrEqual(2)
})

test('a request that is too large to be sent is a refusal: it is halved', async () => {
  const http = createOutboundHttp({ allowPrivate: true, timeoutMs: 1_000, maxResponseBytes: 1_000 })
  const target = createHttpPushTarget({ url: 'http://127.0.0.1:9/', accessToken: undefined }, http)
  const large = Array.from({ length: 100 }, (_, n) => ({
    ...push(n, ['a']),
    notification: JSON.stringify('ä'.repeat(30_000)),
  }))
  expect(await target.send(large, new AbortController().signal)).toMatchObject({ outcome: 'refused' })
  await target.close()
})

test('what comes for its people waits behind a refused one, and for them alone', async () => {
  let refusals = 0
  const { queue, accepted } = queueFor((pushes) => {
    if (!pushes.some(({ seq }) => seq === 0)) return ACCEPTED
    return ++refusals <= 2 ? refused() : ACCEPTED
  })
  queue.add([push(0, ['a', 'b'])])
  await vi.advanceTimersByTimeAsync(10)
  queue.add([push(1, ['b', 'c']), push(2, ['c']), push(3, ['a'])])
  await vi.advanceTimersByTimeAsync(10)
  expect(accepted.map(({ seq, users }) => [seq, ...users])).toEqual([
    [1, 'c'],
    [2, 'c'],
  ])
  await vi.advanceTimersByTimeAsync(5_000)
  expect(accepted.map(({ seq, users }) => [seq, ...users])).toEqual([
    [1, 'c'],
    [2, 'c'],
    [0, 'a', 'b'],
    [1, 'b'],
    [3, 'a'],
  ])
})

test('without an answer all waits, longer each time, at most half a minute', async () => {
  const times: number[] = []
  const { queue, dead } = queueFor(() => {
    times.push(performance.now())
    return unanswered()
  })
  queue.add([push(0, ['a']), push(1, ['b'])])
  await vi.advanceTimersByTimeAsync(300_000)
  const waits = times.slice(1).map((time, n) => time - (times[n] ?? 0))
  expect(waits[0]).toBeGreaterThanOrEqual(250)
  expect(waits[0]).toBeLessThanOrEqual(500)
  for (const wait of waits) expect(wait).toBeLessThanOrEqual(30_001)
  for (const wait of waits.slice(8)) expect(wait).toBeGreaterThanOrEqual(15_000)
  expect(new Set(waits.map(Math.round)).size).toBeGreaterThan(4)
  expect(dead).toEqual([])
  expect(queue.trouble).toBe('answered 503')
})

test('Retry-After is honoured', async () => {
  const times: number[] = []
  const { queue } = queueFor(() => {
    times.push(performance.now())
    return times.length === 1 ? unanswered({ retryAfterMs: 20_000 }) : ACCEPTED
  })
  queue.add([push(0, ['a'])])
  await vi.advanceTimersByTimeAsync(60_000)
  expect(times).toHaveLength(2)
  expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(20_000)
})

test('what is older than the limit dies without being tried, with the reason why it waited', async () => {
  let isDown = true
  const { queue, accepted, dead } = queueFor(() => (isDown ? unanswered() : ACCEPTED), { maxAgeMs: 60_000 })
  queue.add([push(0, ['a'], Date.now()), push(1, ['a'], Date.now() + 50_000)])
  await vi.advanceTimersByTimeAsync(95_000)
  isDown = false
  await vi.advanceTimersByTimeAsync(14_000)
  expect(dead).toMatchObject([{ push: { seq: 0 }, reason: 'older than 60 seconds: answered 503' }])
  await vi.advanceTimersByTimeAsync(40_000)
  expect([...accepted, ...dead.map((each) => each.push)].map(({ seq }) => seq).sort()).toEqual([0, 1])
})

test('without the lease nothing is sent', async () => {
  let isHolder = false
  const { queue, tried } = queueFor(() => ACCEPTED, { mayDeliver: () => isHolder })
  queue.add([push(0, ['a'])])
  await vi.advanceTimersByTimeAsync(5_000)
  expect(tried).toEqual([])
  isHolder = true
  await vi.advanceTimersByTimeAsync(1_000)
  expect(tried).toHaveLength(1)
})

test('what is abandoned is not sent, nor is what a late answer was about', async () => {
  let answer: (given: Answer) => void = () => {}
  const { queue, tried } = queueFor(
    () =>
      new Promise<Answer>((resolve) => {
        answer = resolve
      }),
  )
  queue.add([push(0, ['a']), ...Array.from({ length: 10 }, (_, n) => push(n + 1, ['a']))])
  await vi.advanceTimersByTimeAsync(10)
  queue.abandon()
  answer(refused())
  await vi.advanceTimersByTimeAsync(10_000)
  expect(tried).toHaveLength(1)
  queue.add([push(0, ['a'])])
  await vi.advanceTimersByTimeAsync(10)
  expect(tried.map((batch) => batch.map(({ seq }) => seq)).at(-1)).toEqual([0])
})

test('whatever the receiver does, each person gets theirs in order, all but the dead, and nothing stays open', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1 }), { minLength: 1, maxLength: 40 }),
      fc.array(fc.constantFrom('accept', 'accept', 'refuse', 'later'), { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 0, max: 39 }),
      fc.boolean(),
      fc.array(fc.constantFrom(10, 1_000, 4_000, 9_000, 12_000), { minLength: 1, maxLength: 7 }),
      async (audiences, moods, poison, hangs, sizes) => {
        let mood = 0
        const { queue, accepted, dead, tried } = queueFor((pushes) => {
          if (pushes.some(({ seq }) => seq === poison)) return hangs ? unanswered() : refused()
          const now = moods[mood++ % (moods.length + 1)]
          return now === 'refuse' ? refused() : now === 'later' ? unanswered() : ACCEPTED
        })
        for (const [seq, users] of audiences.entries()) {
          queue.add([{ ...push(seq, users), notification: 'x'.repeat(sizes[seq % sizes.length] ?? 0) }])
          if (seq % 5 === 0) await vi.advanceTimersByTimeAsync(1)
        }
        // A single one that hangs while nobody else gets anything dies of age alone.
        await vi.advanceTimersByTimeAsync(4_000_000)
        expect(queue.oldestSeq).toBe(Number.POSITIVE_INFINITY)
        for (const batch of tried.filter(({ length }) => length > 1)) {
          expect(batch.length).toBeLessThanOrEqual(8)
          expect(batch.reduce((sum, each) => sum + sizeOf(each), 0)).toBeLessThanOrEqual(10_000)
        }
        const gone = dead.map((each) => each.push)
        for (const user of ['a', 'b', 'c', 'd'] as const) {
          const wanted = audiences.flatMap((users, seq) => (users.includes(user) ? [seq] : []))
          const got = seqsFor(accepted, user)
          expect(got).toEqual([...got].sort((one, other) => one - other))
          expect([...got, ...seqsFor(gone, user)].sort((one, other) => one - other)).toEqual(wanted)
        }
        vi.useRealTimers()
      },
    ),
    { numRuns: 60 },
  )
})

test('the JSON is what 0.7.9 gave', () => {
  expect(JSON.parse(pushJson({ users: ['a', 'b'], notification: '{"type":"NewRoom"}' }))).toEqual({
    to_user: ['a', 'b'],
    notification: { type: 'NewRoom' },
  })
})
