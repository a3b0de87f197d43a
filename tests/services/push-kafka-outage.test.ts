/** While Kafka is killed or frozen pushes wait, and afterwards each is there, in order. */
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Person } from '../support/person.ts'
import { pushed } from '../support/pushes.ts'
import { ServerProcess } from '../support/server-process.ts'
import { describeWith } from '../support/services.ts'
import { kafkaConfig, PushTopic, Topic } from '../support/topic.ts'

const VARIABLES = ['ISM_TEST_KAFKA', 'ISM_TEST_START_KAFKA'] as const

describeWith(VARIABLES, 'pushes while Kafka', ({ ISM_TEST_KAFKA: address, ISM_TEST_START_KAFKA: startCommand }) => {
  const kafka = new ServerProcess('Kafka', address, startCommand)
  let topic: Topic
  let pushes: PushTopic
  let ism: TestIsm
  let alice: Person
  let bob: Person
  let roomId: string
  let sent = 0
  beforeAll(async () => {
    const config = kafkaConfig(address)
    topic = await Topic.create(config, 1)
    pushes = await PushTopic.create(config, 2)
    ism = await startIsm({ kafka: { ...config, pushTopic: pushes.name } })
    ;[alice, bob] = await ism.people('alice', 'bob')
    roomId = await alice.createRoom([bob], 'Tea')
  })
  afterAll(async () => {
    await ism.stop()
    await pushes.drop()
    await topic.drop()
  })
  afterEach(async () => {
    await kafka.thaw().catch(() => undefined)
    await kafka.start()
  })

  const isOk = async () => {
    const { stores } = (await (await fetch(`${ism.url}/health/ready`)).json()) as {
      stores: { name: string; ok: boolean }[]
    }
    return stores.find(({ name }) => name === 'push:kafka')?.ok
  }
  async function send(count: number): Promise<void> {
    for (let n = 0; n < count; n++) expect((await alice.send(roomId, String(sent++))).status).toBe(200)
  }
  async function expectAllInOrder(): Promise<void> {
    await pushed(ism, 'push:kafka', 90_000)
    await eventually('ISM says so', async () => (await isOk()) === true)
    const records = await pushes.read()
    const texts = records
      .filter(({ value: { notification, to_user } }) => notification.type === 'ChatMessage' && to_user.includes(bob.id))
      .map(({ value }) => Number(value.notification['message'].msgBody.text))
    expect([...new Set(texts)]).toEqual(Array.from({ length: sent }, (_, n) => n))
    expect((await ism.sql.query('select from dead_delivery')).rowCount).toBe(0)
  }

  it('is killed wait, and come when it is back', async () => {
    await send(10)
    await expectAllInOrder()
    await kafka.kill()
    await send(10)
    await eventually('ISM says so', async () => (await isOk()) === false, 20_000)
    await kafka.start()
    await send(10)
    await expectAllInOrder()
  }, 180_000)

  it('is frozen wait, and come when it wakes', async () => {
    await kafka.freeze()
    await send(10)
    await eventually('ISM says so', async () => (await isOk()) === false, 40_000)
    await kafka.thaw()
    await send(10)
    await expectAllInOrder()
  }, 180_000)
})
