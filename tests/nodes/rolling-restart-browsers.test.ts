/** Three nodes behind a load balancer are restarted one after the other: a page's EventSource heals itself, each time. */
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Balancer, startBalancer } from '../support/balancer.ts'
import { Browser } from '../support/browser.ts'
import { Ledger } from '../support/ledger.ts'
import { type IsmNode, Service } from '../support/node.ts'
import { sendPersistently } from '../support/persistent-clients.ts'
import type { Person } from '../support/person.ts'
import { endProcesses } from '../support/test-process.ts'
import { createGroup } from './everywhere.ts'

const PEOPLE = 24
/** A frame's `retry:`, and by how much a busy machine is late. */
const RETRY_MS = { from: 1_000, to: 3_000 }
const BUSY_MS = 1_500

let service: Service
let nodes: IsmNode[]
let balancer: Balancer
beforeAll(async () => {
  service = await Service.create()
  nodes = await Promise.all([service.node(), service.node(), service.node()])
  balancer = await startBalancer(nodes.map(({ port }) => port))
})
afterAll(async () => {
  await balancer.close()
  await endProcesses()
  await service.close()
})

test('none gives up, nothing is lost or doubled, and they do not all come back at once', {
  timeout: 120_000,
}, async () => {
  const people = await service.people(PEOPLE, [balancer])
  const ledger = new Ledger()
  const roomId = await createGroup(people, 'rolling', balancer.url)
  ledger.addRoom(roomId, people)
  const browsers = await Promise.all(people.map(Browser.open))
  await Promise.all(browsers.map((browser) => browser.until('its first cursor', () => browser.connected)))
  // From here on each ticket serves those alone that name an event which they have had.
  await service.sql.query(`update stream_ticket set open_until = clock_timestamp()`)
  let over = false
  const sending = people.map(async (person, n) => {
    for (let turn = 0; !over; turn++) {
      ledger.record((await sendPersistently(person, [balancer.url], roomId, `${n}, ${turn}`)).message)
      await delay(20)
    }
  })
  const visits: Promise<string | undefined>[] = []
  const visiting = (async () => {
    for (let turn = 0; !over; turn++) {
      visits.push(visit(people[turn % PEOPLE] as Person))
      await delay(50)
    }
  })()
  // Whoever ends them learns of it.
  for (const each of [...sending, visiting]) each.catch(() => {})
  for (const node of nodes) {
    expect(await node.kill('SIGTERM')).toEqual({ code: 0, signal: null })
    await node.restart()
    await Promise.all(browsers.map((browser) => browser.until('a connection', () => browser.connected)))
  }
  over = true
  await Promise.all([...sending, visiting])
  await Promise.all(
    browsers.map((browser) =>
      browser.until('all messages', () => ofChat(browser).length >= ledger.countFor(browser.person)),
    ),
  )
  for (const browser of browsers) browser.close()

  expect((await Promise.all(visits)).filter((problem) => problem)).toEqual([])
  ledger.expectNumbered()
  for (const { person, events } of browsers) ledger.expectStream(person, events)
  const waits = browsers.flatMap((browser) => browser.waits).map(Math.round)
  expect(waits.length, 'broken connections').toBeGreaterThanOrEqual(PEOPLE)
  const [least, most] = [Math.min(...waits), Math.max(...waits)]
  expect(least, `the least of ${waits}`).toBeGreaterThanOrEqual(RETRY_MS.from - 50)
  expect(most, `the most of ${waits}`).toBeLessThan(RETRY_MS.to + BUSY_MS)
  expect(most - least, `how far ${waits} are spread`).toBeGreaterThan(1_000)
})

/** A page that is loaded in the midst of it has had nothing that it could resume from. @returns why it gave up */
async function visit(person: Person): Promise<string | undefined> {
  const browser = await Browser.open(person)
  await browser.until('a connection', () => browser.connected).catch((error: Error) => error)
  browser.close()
  return browser.connected ? undefined : (browser.gaveUp ?? 'no connection')
}

const ofChat = ({ events }: Browser) => events.filter(({ type }) => type === 'ChatMessage')
