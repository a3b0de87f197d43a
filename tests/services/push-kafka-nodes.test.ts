/** Nodes that push to Kafka: one that is killed loses nothing, one that is stopped ends in time though Kafka is frozen. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type IsmNode, Service } from '../support/node.ts'
import type { Person } from '../support/person.ts'
import { PushReceiver, pushed } from '../support/pushes.ts'
import { ServerProcess } from '../support/server-process.ts'
import { describeWith } from '../support/services.ts'
import { endProcesses } from '../support/test-process.ts'
import { kafkaConfig, kafkaSections, PushTopic, Topic } from '../support/topic.ts'

const VARIABLES = ['ISM_TEST_KAFKA', 'ISM_TEST_START_KAFKA'] as const
/** ISM promises to be gone after ten seconds. */
const STOP_MS = 10_000

describeWith(VARIABLES, 'a node', ({ ISM_TEST_KAFKA: address, ISM_TEST_START_KAFKA: startCommand }) => {
  const kafka = new ServerProcess('Kafka', address, startCommand)
  let topic: Topic
  let pushes: PushTopic
  let receiver: PushReceiver
  let service: Service
  beforeAll(async () => {
    receiver = await new PushReceiver().start()
  })
  beforeEach(async () => {
    const config = kafkaConfig(address)
    topic = await Topic.create(config, 1)
    pushes = await PushTopic.create(config, 3)
    const { '': top, kafka_config } = kafkaSections({ ...config, pushTopic: pushes.name })
    service = await Service.create(undefined, {
      sections: { '': { ...top, push_notification_url: receiver.url }, kafka_config },
    })
  })
  afterEach(async () => {
    receiver.answer = undefined
    await kafka.thaw().catch(() => undefined)
    await endProcesses()
    await service.close()
    // With that of the pushes, whose name begins alike.
    await topic.drop()
  })
  afterAll(() => receiver.stop())

  async function pushing(nodes: IsmNode[]): Promise<IsmNode> {
    let one: IsmNode | undefined
    await eventually('one of them pushes', async () => {
      const { rows } = await service.sql.query(
        `select n.name from projection p join node n on n.holder = p.holder
        where p.name = 'push:kafka' and p.lease_until > clock_timestamp() and n.lease_until > clock_timestamp()`,
      )
      one = nodes.find(({ process: { pid } }) => rows[0]?.name.split(' ').includes(String(pid)))
      return one !== undefined
    })
    return one as IsmNode
  }

  it.each([
    ['it pushed to', true],
    ['it never reached', false],
  ])(
    'that is told to stop ends well and in time, though the Kafka that %s is frozen and the receiver hangs',
    async (_, hasPushed) => {
      if (!hasPushed) await kafka.freeze()
      const node = await service.node()
      const [alice, bob] = (await service.people(2, [node])) as [Person, Person]
      if (hasPushed) {
        await alice.createRoom([bob], 'Tea')
        await pushed(service, 'push:kafka')
        await kafka.freeze()
      }
      receiver.answer = () => undefined
      receiver.received.length = 0
      await alice.createRoom([bob], 'Cake')
      await eventually('it posts', async () => receiver.received.length > 0)
      const since = performance.now()
      expect(await node.kill('SIGTERM')).toEqual({ code: 0, signal: null })
      expect(performance.now() - since).toBeLessThan(STOP_MS)
    },
    90_000,
  )

  it('that is killed while it pushes loses nothing: each person has all of theirs, in order', async () => {
    const COUNT = 600
    const nodes = [await service.node(), await service.node()]
    const [alice, ...others] = (await service.people(9, nodes)) as [Person, ...Person[]]
    const roomId = await alice.createRoom(others, 'Tea')
    await pushed(service, 'push:kafka')
    const one = await pushing(nodes)
    const at = alice.at((nodes.find((node) => node !== one) as IsmNode).url)
    const before = await pushes.count()
    let sent = 0
    const sending = (async () => {
      for (; sent < COUNT; sent++) expect((await at.send(roomId, String(sent))).status).toBe(200)
    })()
    await eventually('it is at it', async () => (await pushes.count()) > before + 100, 30_000)
    // From here on nothing is accepted: pages of the log gather behind what is on its way.
    await kafka.freeze()
    const enough = Math.min(sent + 100, COUNT)
    await eventually('more has come', async () => sent >= enough, 30_000)
    await one.kill('SIGKILL')
    await kafka.thaw()
    await sending
    await pushed(service, 'push:kafka', 90_000)
    const records = await pushes.read()
    for (const person of others) {
      const texts = records
        .filter(({ value }) => value.to_user.includes(person.id))
        .flatMap(({ value }) => value.notification['message']?.msgBody.text ?? [])
      // What came twice apart, in the order in which each came first.
      expect([...new Set(texts.map(Number))]).toEqual(Array.from({ length: COUNT }, (_, n) => n))
    }
    expect((await service.sql.query("select from dead_delivery where target = 'push:kafka'")).rowCount).toBe(0)
  }, 180_000)
})
