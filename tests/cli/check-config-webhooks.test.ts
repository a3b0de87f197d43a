/** `ism check-config` on `[[webhooks]]`: every problem at once, and with --connect each receiver tried without a POST. */
import { createServer } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { directoryWith, ism } from '../support/command-line.ts'
import { HttpReceiver } from '../support/http-receiver.ts'
import { toml } from '../support/node.ts'

const BASE = `
[user_db_config]
db_host = "127.0.0.1"
db_port = 1
db_user = "ism"
db_password = "SECRET-1"
db_name = "ism"
[token_issuer]
issuer = "http://127.0.0.1:1"
`
const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const RECEIVER = { secret: SECRET, events: ['ChatMessage'] }

const check = async (webhooks: Parameters<typeof toml>[0][string], ...options: string[]) => {
  const cwd = await directoryWith({ 'production.config.toml': BASE + toml({ webhooks }) })
  return ism(['check-config', ...options], { cwd })
}

test('receivers in order are in order', async () => {
  const { code, stdout } = await check([{ ...RECEIVER, url: 'https://backend.example' }])
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'production.config.toml is in order\n' })
})

test('every problem of each is reported in one run, and no secret shown', async () => {
  const { code, stdout, stderr } = await check([
    { url: 'https://me:SECRET-2@backend.example', secret: 'SECRET-3', events: ['SECRET-4'], nmae: 'SECRET-5' },
    { ...RECEIVER, url: 'http://10.0.0.1/SECRET-6', timeout: 'SECRET-7' },
    { ...RECEIVER, url: 'https://backend.example/SECRET-8', events: ['ChatMesage'] },
  ])
  expect(code).toBe(1)
  const keys = [...stdout.matchAll(/^problem: ([\w.[\]]+): .+; expected .+$/gm)].map(([, key]) => key)
  expect(keys.toSorted()).toEqual([
    'webhooks[1].events',
    'webhooks[1].nmae',
    'webhooks[1].secret',
    'webhooks[1].url',
    'webhooks[2].timeout',
    'webhooks[2].url',
    'webhooks[3].events',
  ])
  expect(stdout).toContain('did you mean "ChatMessage"?')
  expect(stdout + stderr).not.toMatch(/SECRET|MfKQ9r8G/)
})

test('--connect connects to each and posts nothing; one that is not there, or may not be reached, fails', async () => {
  const receiver = await new HttpReceiver().start()
  onTestFinished(() => receiver.stop())
  const plain = createServer((socket) => socket.end('no TLS here\r\n'))
  await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void plain.close())
  const { port } = plain.address() as { port: number }
  const { code, stdout, stderr } = await check(
    [
      { ...RECEIVER, name: 'there', url: `${receiver.url}?token=SECRET-2`, allow_private: true },
      { ...RECEIVER, name: 'away', url: 'http://127.0.0.1:1/', allow_private: true },
      { ...RECEIVER, name: 'plain', url: `https://127.0.0.1:${port}/`, allow_private: true },
      { ...RECEIVER, name: 'unknown', url: 'https://nowhere.invalid/' },
    ],
    '--connect',
  )
  expect(code).toBe(1)
  expect(stdout).toMatch(/^ok +webhook there +\d+ ms +can be connected to; nothing was posted$/m)
  expect(stdout).toMatch(/^failed +webhook away +\d+ ms +no answer \(ECONNREFUSED\)$/m)
  expect(stdout).toMatch(/^failed +webhook plain +\d+ ms +no answer \(\w+\)$/m)
  expect(stdout).toMatch(/^failed +webhook unknown +\d+ ms +no answer \((ENOTFOUND|EAI_AGAIN)\)$/m)
  expect(receiver.connections).toBe(1)
  expect(receiver.received).toEqual([])
  expect(stdout + stderr).not.toContain('SECRET')
})
