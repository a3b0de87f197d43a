/** Three nodes are restarted one after the other under load: whoever reconnects or sends again notices nothing else. */
import { request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Ledger } from '../support/ledger.ts'
import { holdLogLock } from '../support/log-lock.ts'
import { type IsmNode, Service } from '../support/node.ts'
import { Reader, sendPersistently } from '../support/persistent-clients.ts'
import type { Person } from '../support/person.ts'
import { endProcesses } from '../support/test-process.ts'
import { createGroup, expectEverywhere } from './everywhere.ts'

const PEOPLE = 24

let service: Service
let nodes: IsmNode[]
beforeAll(async () => {
  service = await Service.create()
  nodes = await Promise.all([service.node(), service.node(), service.node()])
})
afterAll(async () => {
  await endProcesses()
  await service.close()
})

/** Beginning with another node for each. */
const inTurn = (n: number) => nodes.map((_, turn) => nodes[(n + turn) % nodes.length]?.url ?? '')

test('nothing is lost, doubled or refused for good', { timeout: 90_000 }, async () => {
  const people = await service.people(PEOPLE, nodes)
  const ledger = new Ledger()
  const roomId = await createGroup(people, 'rolling', nodes[0]?.url ?? '')
  ledger.addRoom(roomId, people)
  const readers = await Promise.all(people.map((person, n) => Reader.open(person, inTurn(n))))
  const refusals: (number | string)[] = []
  let over = false
  const sending = people.map(async (person, n) => {
    for (let turn = 0; !over; turn++) {
      const answer = await sendPersistently(person, inTurn(n), roomId, `${n}, ${turn}`)
      ledger.record(answer.message)
      refusals.push(...answer.refusals)
      await delay(20)
    }
  })
  // Whoever ends them learns of it.
  for (const each of sending) each.catch(() => {})
  for (const node of nodes) {
    expect(await node.kill('SIGTERM')).toEqual({ code: 0, signal: null })
    await node.restart()
  }
  over = true
  await Promise.all(sending)
  // What is in flight is answered: a client sees closed connections, and no answer that blames ISM.
  expect(refusals.filter((refusal) => typeof refusal === 'number')).toEqual([])
  expect(refusals.filter((refusal) => !/ECONNREFUSED|ECONNRESET|other side closed/.test(String(refusal)))).toEqual([])
  for (const { connections } of readers) expect(connections).toBeLessThan(30)
  ledger.expectNumbered()
  await expectEverywhere(ledger, readers, nodes)
})

test('a request in flight is answered, and the answer says that its connection ends', async () => {
  const node = nodes[0] as IsmNode
  const [alice, bob] = (await service.people(2, [node])) as [Person, Person]
  const roomId = await alice.createRoom([bob])
  const lock = await holdLogLock({ ...service.postgres, ssl: false })
  const answer = sendOverKeptConnection(alice, roomId)
  await lock.isWaitedFor()
  const stream = await bob.stream()
  node.signal('SIGTERM')
  await stream.until(() => stream.ended, 'its end')
  await lock.release()
  expect(await answer).toEqual({ status: 200, connection: 'close' })
  expect(await node.process.exited).toEqual({ code: 0, signal: null })
  await node.restart()
})

function sendOverKeptConnection({ url, token }: Person, roomId: string) {
  return new Promise<{ status: number | undefined; connection: string | undefined }>((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', connection: 'keep-alive' }
    const sending = request(`${url}/api/send-msg`, { method: 'POST', headers }, (response) => {
      response.resume()
      resolve({ status: response.statusCode, connection: response.headers.connection })
    })
    sending.on('error', reject)
    sending.end(JSON.stringify({ chatRoomId: roomId, msgType: 'Text', msgBody: { text: 'in flight' } }))
  })
}

test('clients are told to come back at times that are spread', async () => {
  const people = await service.people(40, nodes)
  const streams = await Promise.all(people.map((person) => person.stream()))
  const retries = streams.map(({ retry }) => retry ?? 0)
  expect(Math.min(...retries)).toBeGreaterThanOrEqual(1_000)
  expect(Math.max(...retries)).toBeLessThanOrEqual(3_000)
  expect(Math.max(...retries) - Math.min(...retries)).toBeGreaterThan(1_000)
  for (const stream of streams) stream.close()
})
