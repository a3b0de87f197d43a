/** The examples of docs/notifications.md and docs/webhooks.md, run as they stand there, but for addresses. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { canRun, examplesOf, exampleWith, runExample, startReceiver } from '../support/documented-example.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import { reservedPort } from '../support/node.ts'
import type { Person } from '../support/person.ts'
import { newSecret } from '../support/signed-request.ts'

const [NOTIFICATIONS, WEBHOOKS] = ['notifications.md', 'webhooks.md']
const SECRET = newSecret()

let ism: TestIsm
let alice: Person
let bob: Person
let roomId: string
let pushPort: number
let webhookPort: number
let variables: Record<string, string>
beforeAll(async () => {
  ;[pushPort, webhookPort] = [await reservedPort(), await reservedPort()]
  ism = await startIsm({
    webhook: { secrets: [SECRET], serviceRole: 'notifier', serviceRoleClaim: 'preferred_username' },
    push: { http: { url: `http://127.0.0.1:${pushPort}/pushes`, accessToken: 'change-me' } },
    webhooks: [
      {
        name: 'backend',
        url: `http://127.0.0.1:${webhookPort}/`,
        secrets: [SECRET],
        events: ['ChatMessage'],
        allowPrivate: true,
        timeoutMs: 5_000,
      },
    ],
  })
  ;[alice, bob] = await ism.people('alice', 'bob')
  roomId = await alice.createRoom([bob], 'Cooks')
  const { token } = await ism.person('notifier')
  variables = { ISM: ism.url, SECRET, ALICE: alice.id, SERVICE_TOKEN: token }
})
afterAll(() => ism.stop())

/** By what they alone have. */
const SENDERS = [
  ['ts', 'Hello from TypeScript'],
  ['python', 'Hello from Python'],
  ['sh', 'Hello from the shell'],
  ['ts', 'Hello by token from TypeScript'],
  ['python', 'Hello by token from Python'],
  ['sh', 'Hello by token from the shell'],
] as const
const PUSH_RECEIVERS = [
  ['ts', 'listen(8080'],
  ['python', '8080'],
] as const
const WEBHOOK_RECEIVERS = [
  ['ts', 'listen(9000'],
  ['python', '9000'],
] as const
/** What needs Kafka is run by tests/services. */
const OF_KAFKA = /from 'kafkajs'|from kafka import/

describe('a notification', () => {
  test.for(SENDERS)('in %s: %s', { timeout: 60_000 }, async ([language, text], { skip }) => {
    skip(!canRun(language), `needs what runs ${language}`)
    const stream = await alice.stream()
    const output = await runExample(language, await exampleWith(NOTIFICATIONS, language, text), variables)
    const event = await stream.next(({ message }) => (message as { text?: string } | undefined)?.text === text)
    stream.close()
    expect(output).toMatch(new RegExp(`seq\\W+${event.seq}\\b`))
  })
})

describe('a receiver of pushes', () => {
  test.for(PUSH_RECEIVERS)(
    'in %s takes what ISM pushes, and what curl posts',
    { timeout: 60_000 },
    async ([language, mark], { skip }) => {
      skip(!canRun(language), `needs what runs ${language}`)
      const here = (code: string) => code.replaceAll('8080', String(pushPort))
      const receiver = await startReceiver(pushPort, language, here(await exampleWith(NOTIFICATIONS, language, mark)))
      expect((await alice.send(roomId, `to ${language}`)).status).toBe(200)
      // It was not there until now, and is asked less and less often.
      const isPushed = (output: string) => output.includes(`wake ${bob.id}`) && output.includes('ChatMessage')
      await receiver.until('the push', isPushed, 40_000)
      if (!canRun('sh')) return
      const posted = await runExample('sh', here(await exampleWith(NOTIFICATIONS, 'sh', '8080/pushes')))
      expect(posted).toContain('HTTP/1.1 204')
      await receiver.until('that of curl', (output) =>
        /wake 7d1f0c52-6c1e-4c56-9a86-0d3c3f1f6b0e\W+SystemMessage 4711/.test(output),
      )
    },
  )
})

describe('a receiver of webhooks', () => {
  test.for(WEBHOOK_RECEIVERS)(
    'in %s takes what ISM posts, and what curl posts, once',
    { timeout: 60_000 },
    async ([language, mark], { skip }) => {
      skip(!canRun(language), `needs what runs ${language}`)
      const here = (code: string) => code.replaceAll('9000', String(webhookPort))
      const receiver = await startReceiver(
        webhookPort,
        language,
        here(await exampleWith(WEBHOOKS, language, mark)),
        variables,
      )
      expect((await alice.send(roomId, `to ${language}`)).status).toBe(200)
      await receiver.until('the message', (output) => output.includes(`"to ${language}"`), 40_000)
      if (!canRun('sh')) return
      const [checking, posting] = [
        await exampleWith(WEBHOOKS, 'sh', 'cat body.json'),
        here(await exampleWith(WEBHOOKS, 'sh', 'ID=evt_test')),
      ]
      // The second goes on where the first has made KEY; its own request is checked by it afterwards.
      const [key = ''] = checking.split('\n')
      const code = [key, posting, posting, `printf %s "$BODY" > body.json`, checking].join('\n')
      const [one, two, wanted, given] = (await runExample('sh', code, variables)).trim().split('\n')
      expect([one, two]).toEqual(['204', '204'])
      expect(given).toBe(wanted)
      await receiver.until('that of curl', (output) => output.includes('ChatMessage {"event"'))
      expect(receiver.stdout.match(/"event": ?\{\}/g)).toHaveLength(1)
      const forged = await runExample('sh', [key, posting].join('\n'), { ...variables, SECRET: newSecret() })
      expect(forged.trim()).toBe('401')
    },
  )
})

test.each([NOTIFICATIONS, WEBHOOKS])('no example of %s in TypeScript or Python is left out', async (document) => {
  const marks: Record<string, readonly (readonly [string, string])[]> = {
    [NOTIFICATIONS]: [...SENDERS, ...PUSH_RECEIVERS],
    [WEBHOOKS]: WEBHOOK_RECEIVERS,
  }
  for (const language of ['ts', 'python'] as const) {
    const left = (await examplesOf(document, language)).filter(
      (code) => !OF_KAFKA.test(code) && !marks[document]?.some(([of, text]) => of === language && code.includes(text)),
    )
    expect(left).toEqual([])
  }
})
