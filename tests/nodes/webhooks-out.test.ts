/** The node that delivers a webhook is killed in a backlog: another goes on, nothing is lost, each room keeps its order. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type IsmNode, Service } from '../support/node.ts'
import { endProcesses } from '../support/test-process.ts'
import { WebhookServer } from '../support/webhook-server.ts'
import { createGroup, expectOk } from './everywhere.ts'

const [ROOMS, SENDS_EACH, KILLS] = [6, 40, 2]

const backend = new WebhookServer('backend')
let service: Service
let nodes: IsmNode[]

beforeAll(async () => {
  await backend.start()
  service = await Service.create(undefined, {
    sections: {
      webhooks: [
        {
          name: 'backend',
          url: backend.http.url,
          secret: [backend.secret],
          events: ['ChatMessage'],
          allow_private: true,
        },
      ],
    },
  })
  nodes = await Promise.all([service.node(), service.node(), service.node()])
})
afterAll(async () => {
  await endProcesses()
  await backend.stop()
  await service.close()
})

/** Whoever has the webhook's lease. */
async function deliverer(): Promise<IsmNode | undefined> {
  const { rows } = await service.sql.query(
    `select n.name from projection p join node n on n.holder = p.holder
    where p.name = 'webhook:backend' and p.lease_until > clock_timestamp() and not n.ended`,
  )
  return nodes.find((node) => rows.some(({ name }) => name.split(' ').includes(String(node.process.pid))))
}

test('everything at least once, in order a room, under the same id when it comes again', async () => {
  backend.answering = () => new Promise((resolve) => setTimeout(resolve, 60, 204))
  const people = await service.people(3, nodes)
  const [first] = people
  const rooms = await Promise.all(
    Array.from({ length: ROOMS }, (_, n) => createGroup(people, `Room ${n}`, first?.url ?? '')),
  )
  const sent = new Map<string, string[]>(rooms.map((room) => [room, []]))
  await Promise.all(
    rooms.map(async (room, n) => {
      for (let turn = 0; turn < SENDS_EACH; turn++) {
        const { messageId } = expectOk(
          (await (people[n % people.length] ?? people[0])?.send(room, `${n}, ${turn}`)) as never,
        )
        sent.get(room)?.push(messageId)
      }
    }),
  )

  for (let kill = 1; kill <= KILLS; kill++) {
    await backend.count(30 * kill)
    let node: IsmNode | undefined
    await eventually('one of them delivers', async () => {
      node = await deliverer()
      return node !== undefined
    })
    const before = backend.taken.length
    // Three nodes run, and one of them delivers.
    if (kill === 1) expect(backend.deliveries).toHaveLength(before)
    await node?.kill('SIGKILL')
    expect(before, 'a backlog').toBeLessThan(ROOMS * SENDS_EACH)
    await eventually('another goes on', async () => backend.taken.length > before + 5, 20_000)
  }
  await backend.count(ROOMS * SENDS_EACH, 60_000)

  expect(backend.forged).toEqual([])
  const ids = new Map<string, string>()
  for (const { id, data } of backend.deliveries) {
    const { messageId } = data.event.message
    expect(ids.get(messageId) ?? id).toBe(id)
    ids.set(messageId, id)
  }
  for (const [room, wanted] of sent) {
    const got = backend.taken.filter(({ data }) => data.roomId === room).map(({ data }) => data.event.message.messageId)
    expect(got).toEqual(wanted)
  }
}, 120_000)
