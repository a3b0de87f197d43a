/** The node that delivers a webhook is killed or frozen in a backlog: another goes on, nothing is lost, order is kept. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { freeze, thaw } from '../support/freezer.ts'
import { type IsmNode, Service } from '../support/node.ts'
import type { Person } from '../support/person.ts'
import { endProcesses } from '../support/test-process.ts'
import { WebhookServer } from '../support/webhook-server.ts'
import { createGroup, expectOk, pause } from './everywhere.ts'

const [ROOMS, SENDS_EACH, KILLS] = [6, 40, 2]

let backend: WebhookServer
let service: Service
let nodes: IsmNode[]

beforeEach(async () => {
  backend = await new WebhookServer('backend').start()
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
afterEach(async () => {
  await endProcesses()
  await backend.stop()
  await service.close()
})

/** Whoever has the webhook's lease. */
async function deliverer(): Promise<IsmNode> {
  let holder: IsmNode | undefined
  await eventually('one of them delivers', async () => {
    const { rows } = await service.sql.query(
      `select n.name from projection p join node n on n.holder = p.holder
      where p.name = 'webhook:backend' and p.lease_until > clock_timestamp() and not n.ended`,
    )
    holder = nodes.find((node) => rows.some(({ name }) => name.split(' ').includes(String(node.process.pid))))
    return holder !== undefined
  })
  return holder as IsmNode
}

/** Messages that were sent, by room, in their order. */
class Chat {
  readonly sent = new Map<string, string[]>()
  #people: Person[]

  private constructor(people: Person[]) {
    this.#people = people
  }

  static async start(): Promise<Chat> {
    const chat = new Chat(await service.people(3, nodes))
    const [first] = chat.#people
    for (let n = 0; n < ROOMS; n++) chat.sent.set(await createGroup(chat.#people, `Room ${n}`, first?.url ?? ''), [])
    return chat
  }

  /** Everybody speaks to this node from now on. */
  at({ url }: IsmNode): void {
    this.#people = this.#people.map((person) => person.at(url))
  }

  /** @param each how many in each room */
  async send(each: number): Promise<void> {
    const inRoom = async ([room, ids]: [string, string[]], n: number) => {
      const person = this.#people[n % this.#people.length] as Person
      for (let turn = 0; turn < each; turn++) ids.push(expectOk(await person.send(room, `${n}, ${turn}`)).messageId)
    }
    await Promise.all([...this.sent].map(inRoom))
  }

  /** Each came at least once, in order a room, under the same id when it came again. */
  expectDelivered(): void {
    expect(backend.forged).toEqual([])
    const ids = new Map<string, string>()
    for (const { id, data } of backend.deliveries) {
      const { messageId } = data.event.message
      expect(ids.get(messageId) ?? id).toBe(id)
      ids.set(messageId, id)
    }
    for (const [room, wanted] of this.sent) {
      const taken = backend.taken.filter(({ data }) => data.roomId === room)
      expect(taken.map(({ data }) => data.event.message.messageId)).toEqual(wanted)
    }
  }
}

test('everything at least once, in order a room, under the same id when it comes again', async () => {
  // It takes so many, and none more until the node is killed: there is a backlog then, however long sending took.
  let most = 30
  backend.answering = async () => {
    while (backend.taken.length >= most) await pause(20)
    return 204
  }
  const chat = await Chat.start()
  await chat.send(SENDS_EACH)
  for (let kill = 1; kill <= KILLS; kill++) {
    await backend.count(most)
    const node = await deliverer()
    const before = backend.taken.length
    // Three nodes run, and one of them delivers.
    if (kill === 1) expect(backend.deliveries).toHaveLength(before)
    await node.kill('SIGKILL')
    expect(before, 'a backlog').toBeLessThan(ROOMS * SENDS_EACH)
    most = kill < KILLS ? most + 60 : Number.POSITIVE_INFINITY
    // What was on its way to the one that was killed is taken, too.
    await eventually('another goes on', async () => backend.taken.length > before + 3 * ROOMS, 30_000)
  }
  await backend.count(ROOMS * SENDS_EACH, 60_000)
  chat.expectDelivered()
}, 120_000)

test('one that was frozen past its lease posts nothing more when it wakes, and takes its turn again', async () => {
  const chat = await Chat.start()
  let open = () => {}
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  backend.answering = () => gate.then(() => 204)
  await chat.send(SENDS_EACH)
  const frozen = await deliverer()
  await eventually('each room has a request on its way', async () => backend.http.received.length === ROOMS)
  freeze(frozen.process.pid)
  // Its answers wait for it in its sockets.
  open()
  await backend.count(ROOMS * SENDS_EACH, 60_000)
  expect(backend.deliveries).toHaveLength(ROOMS * (SENDS_EACH + 1))
  const lock = await service.sql.connect()
  // When it wakes, it does not learn at once that another has the lease.
  await lock.query('begin; lock table projection')
  thaw(frozen.process.pid)
  chat.at(frozen)
  await chat.send(5)
  await lock.query('rollback')
  lock.release()
  await backend.count(ROOMS * (SENDS_EACH + 5))
  expect(await deliverer()).not.toBe(frozen)

  for (const node of nodes) if (node !== frozen) await node.kill('SIGTERM')
  expect(await deliverer()).toBe(frozen)
  await chat.send(5)
  await backend.count(ROOMS * (SENDS_EACH + 10))
  chat.expectDelivered()
  // None came again, but for those that were on their way when it was frozen.
  expect(backend.http.received).toHaveLength(ROOMS * (1 + SENDS_EACH + 10))
  expect((await service.sql.query('select * from dead_delivery')).rows).toEqual([])
}, 120_000)
