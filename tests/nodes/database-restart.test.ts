/** PostgreSQL is restarted under load, politely and by force: two nodes are late, and lose, double or refuse nothing. */
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type System, startSystem } from '../chaos/system.ts'
import { eventually } from '../support/eventually.ts'
import { Ledger } from '../support/ledger.ts'
import { Reader, sendPersistently } from '../support/persistent-clients.ts'
import { createGroup, expectEverywhere } from './everywhere.ts'

const PEOPLE = 8

let system: System
beforeAll(async () => {
  system = await startSystem(2, {})
}, 60_000)
afterAll(() => system.close(), 30_000)

test.each([
  ['told to restart', 'SIGINT'],
  ['killed', 'SIGKILL'],
] as const)('%s', { timeout: 120_000 }, async (_, signal) => {
  const { service, nodes, cluster } = system
  const urls = nodes.map(({ url }) => url)
  const people = await service.people(PEOPLE, nodes)
  const ledger = new Ledger()
  const roomId = await createGroup(people, 'restarted', urls[0] ?? '')
  ledger.addRoom(roomId, people)
  const readers = await Promise.all(people.map((person) => Reader.open(person)))
  const sentBy = people.map(() => 0)
  const refusals: (number | string)[] = []
  let over = false
  const sending = people.map(async (person, n) => {
    for (let turn = 0; !over; turn++) {
      const answer = await sendPersistently(person, urls, roomId, `${n}, ${turn}`)
      ledger.record(answer.message)
      refusals.push(...answer.refusals)
      sentBy[n] = turn + 1
      await delay(10)
    }
  })
  // Whoever ends them learns of it.
  for (const each of sending) each.catch(() => {})
  const everybodySends = async () => {
    const before = [...sentBy]
    await eventually('everybody sends', async () => sentBy.every((sent, n) => sent > (before[n] ?? 0) + 1), 30_000)
  }
  for (let turn = 0; turn < 2; turn++) {
    await everybodySends()
    const pid = cluster.pid() ?? 0
    process.kill(pid, signal)
    await eventually('it runs again', async () => ![undefined, pid].includes(cluster.pid()), 30_000)
    await everybodySends()
  }
  over = true
  await Promise.all(sending)
  // Nothing but "later": neither a wrong answer nor a node that ended.
  expect(refusals.filter((refusal) => refusal !== 503)).toEqual([])
  expect(nodes.map(({ process }) => process.exit)).toEqual([undefined, undefined])
  ledger.expectNumbered()
  await expectEverywhere(ledger, readers, nodes)
})
