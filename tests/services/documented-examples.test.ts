/** The examples of docs/notifications.md that need Kafka, run as they stand there, but for names of topics. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { canRun, exampleWith, runExample, startExample } from '../support/documented-example.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Person } from '../support/person.ts'
import { describeWith } from '../support/services.ts'
import { kafkaConfig, PushTopic, Topic } from '../support/topic.ts'

describeWith(['ISM_TEST_KAFKA'], 'the examples for Kafka', ({ ISM_TEST_KAFKA: address }) => {
  const DOCUMENT = 'notifications.md'
  const LANGUAGES = [['ts'], ['python']] as const
  let topic: Topic
  let pushes: PushTopic
  let ism: TestIsm
  let alice: Person
  let bob: Person
  beforeAll(async () => {
    const config = kafkaConfig(address)
    topic = await Topic.create(config, 2)
    pushes = await PushTopic.create(config, 2)
    ism = await startIsm({ kafka: { ...config, pushTopic: pushes.name } })
    ;[alice, bob] = await ism.people('alice', 'bob')
  })
  afterAll(async () => {
    await ism.stop()
    await pushes.drop()
    await topic.drop()
  })

  it.for(LANGUAGES)('a notification in %s', async ([language], { skip }) => {
    skip(!canRun(language, 'kafka'), 'needs python3 with kafka-python')
    const example = await exampleWith(DOCUMENT, language, 'Hello from Kafka')
    const [text] = /Hello from Kafka[ \w]*/.exec(example) ?? []
    const stream = await alice.stream()
    const code = example.replaceAll('user-notification-events', topic.config.topic)
    await runExample(language, code, { KAFKA: address, ALICE: alice.id })
    await stream.next(({ message }) => (message as { text?: string } | undefined)?.text === text)
    stream.close()
  })

  it.for(LANGUAGES)('pushes read in %s', async ([language], { skip }) => {
    skip(!canRun(language, 'kafka'), 'needs python3 with kafka-python')
    const example = await exampleWith(DOCUMENT, language, 'user-pushes')
    const code = example.replaceAll('user-pushes', pushes.name).replace('pusher', `pusher-${language}`)
    const reader = await startExample(language, code, { KAFKA: address })
    const roomId = await alice.createRoom([bob], `Read in ${language}`)
    // A group that is new begins with what comes after it: so one after the other, until one comes.
    let isRead = false
    const reading = reader
      .until('a push', (output) => output.includes(`wake ${bob.id}`) && output.includes('ChatMessage'), 50_000)
      .finally(() => {
        isRead = true
      })
    for (let n = 0; !isRead; n++) {
      expect((await alice.send(roomId, `message ${n}`)).status).toBe(200)
      await Promise.race([reading, new Promise((resolve) => setTimeout(resolve, 500))])
    }
    await reading
  })
})
