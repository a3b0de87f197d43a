/** Streams that cannot be opened, or may not stay: what is noted of it, and when their clients come back. */
import { Writable } from 'node:stream'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { createLogger } from '../../src/observability/logger.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { metricOf } from '../support/metric.ts'
import type { Person } from '../support/person.ts'

let ism: TestIsm
let alice: Person
let log = ''
beforeAll(async () => {
  const destination = new Writable({
    write(chunk, _, done) {
      log += chunk
      done()
    },
  })
  ism = await startIsm({}, createLogger('info', destination))
})
afterAll(() => ism.stop())
beforeEach(async () => {
  ;[alice] = await ism.people(`alice ${Math.random()}`)
})
afterEach(() => alice.closeStreams())

/** While `action` runs, nobody's rooms can be read. */
async function withoutMemberships(action: () => Promise<void>): Promise<void> {
  await ism.sql.query('alter table room_membership rename to hidden')
  try {
    await action()
  } finally {
    await ism.sql.query('alter table hidden rename to room_membership')
  }
}

test('one that fails after its head is counted, and told of once in a while', async () => {
  const failures = () => metricOf(ism, 'ism_stream_failures_total', {})
  const before = await failures()
  await withoutMemberships(async () => {
    const streams = await Promise.all([alice.stream(), alice.stream(), alice.stream()])
    for (const stream of streams) await stream.until(() => stream.ended, 'its end')
  })
  expect((await failures()) - before).toBe(3)
  const lines = log.split('\n').filter((line) => line.includes('a stream could not be opened'))
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    expect.objectContaining({ level: 40, err: expect.objectContaining({ message: expect.stringMatching(/exist/) }) }),
  ])
})
