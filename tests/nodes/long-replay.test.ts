/** Somebody who missed very much gets all of it, from a node that needs little memory for it and serves others meanwhile. */
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { appendMany } from '../support/many-messages.ts'
import { type IsmNode, Service } from '../support/node.ts'
import type { Person } from '../support/person.ts'

const MISSED = 100_000
const BATCH = 5_000
/** They take up 100 MiB and more in the log. What the node may need beside them: pages, buffers, and garbage. */
const GROWTH_MIB = 150

let service: Service
let node: IsmNode
beforeAll(async () => {
  // Next to nothing of the log is in memory: the replay comes out of the database.
  service = await Service.create(undefined, { sections: { log: { memory_mib: 1 } } })
  node = await service.node()
})
afterAll(async () => {
  await node.kill('SIGTERM')
  await service.close()
})

test(`${MISSED} missed events come in order, each once`, { timeout: 120_000 }, async () => {
  const [alice, bob] = (await service.people(2, [node])) as [Person, Person]
  const roomId = await alice.createRoom([bob])
  const { lastEventId } = (await bob.get('/api/notifications/cursor')).body
  for (let count = 0; count < MISSED; count += BATCH) await appendMany(service.sql, roomId, alice.id, BATCH)
  const before = await peakMebibytes()

  const stream = await bob.stream(lastEventId)
  let [asked, isOver] = [0, false]
  const others = (async () => {
    for (; !isOver; asked++) expect((await alice.get('/api/rooms')).status).toBe(200)
  })()
  await stream.until(() => stream.events.length >= MISSED, 'all of them', 90_000)
  isOver = true
  await others

  expect(stream.events.map(({ message }) => message.roomSeq)).toEqual(Array.from({ length: MISSED }, (_, n) => n + 1))
  expect(asked).toBeGreaterThan(10)
  expect((await peakMebibytes()) - before).toBeLessThan(GROWTH_MIB)
  const { body } = await alice.send(roomId, 'live')
  await stream.next((event) => event['message']?.messageId === body.messageId, 'what comes after it')
})

/** The most that the node has held so far (proc(5), VmHWM). */
async function peakMebibytes(): Promise<number> {
  const text = await readFile(`/proc/${node.process.pid}/status`, 'utf8')
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(text)?.[1]) / 1_024
}
