/** What a node tells of who is connected to it, where the answer to a beat does not arrive. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Queryable } from '../../src/infra/postgres.ts'
import { NodePresence } from '../../src/presence/node-presence.ts'

const ALICE = '11111111-1111-4111-8111-111111111111'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** The rows of `presence`; `answers` false: a beat commits, and the connection breaks before its answer. */
class Presence implements Queryable {
  readonly rows = new Set<string>()
  answers = true

  async query<Row extends object>(name: string, _text: string, values: unknown[] = []): Promise<Row[]> {
    if (name !== 'nodes.beat') return []
    const [, , came, went] = values as [string, number, string[], string[]]
    for (const id of came) this.rows.add(id)
    for (const id of went) this.rows.delete(id)
    if (!this.answers) throw new Error('the connection broke')
    return [{ taken: true, events: 0, seconds: 0 }] as object[] as Row[]
  }
}

test('who left with a beat that was taken down but not answered, and is back before the next, is there', async () => {
  const presence = new Presence()
  const observe = { tailLagged() {}, presenceFailed() {} }
  const node = new NodePresence(presence, { name: 'node', holder: 'holder', tailSeq: () => 0 }, observe)
  const beat = () => vi.advanceTimersByTimeAsync(1_000)
  node.start()
  node.arrived(ALICE)
  await beat()
  expect([...presence.rows]).toEqual([ALICE])
  presence.answers = false
  node.left(ALICE)
  await beat()
  expect([...presence.rows]).toEqual([])
  presence.answers = true
  node.arrived(ALICE)
  await beat()
  expect([...presence.rows]).toEqual([ALICE])
  await node.stop()
})
