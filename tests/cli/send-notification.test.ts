/** `ism send-notification`: what people get, what it prints, and what it refuses. */
import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { PostgresConfig } from '../../src/config/config.ts'
import { configuredFor, ism } from '../support/command-line.ts'
import { createDatabase } from '../support/database.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'
import type { Person } from '../support/person.ts'

let server: TestIsm
let alice: Person
let bob: Person
beforeAll(async () => {
  server = await startIsm()
  ;[alice, bob] = await server.people('alice', 'bob')
})
afterAll(() => server.stop())

/** Sent by the CLI in a directory with these files beside the configuration. */
async function send(
  argv: string[],
  options: { stdin?: string; isTerminal?: boolean; files?: Record<string, string> } = {},
) {
  const cwd = await configuredFor(server)
  for (const [name, content] of Object.entries(options.files ?? {})) await writeFile(join(cwd, name), content)
  return ism(['send-notification', ...argv], { cwd, ...options })
}

const eventCount = async () =>
  Number((await server.sql.query('select count(*) from event where type = 8')).rows[0].count)

test('is an event in the streams of those whom it is for, and says how many and where', async () => {
  const [first, second] = [await alice.stream(), await alice.stream()]
  const id = randomUUID()
  const message = { text: 'Hello 🤗', n: [1, null, { a: null }] }
  const { code, stdout, stderr } = await send([
    '--to',
    `${alice.id.toUpperCase()}, ${bob.id},${alice.id}`,
    '--message',
    JSON.stringify(message),
    '--id',
    id,
  ])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  for (const stream of [first, second]) {
    const event = await stream.next(({ type }) => type === 'SystemMessage')
    expect(event).toMatchObject({ message, notificationId: id, sentAt: null })
    expect(stdout).toBe(`seq ${event.seq}: sent to 2 users, id ${id}\n`)
  }
})

test('--created-at is what users see as sentAt', async () => {
  const stream = await alice.stream()
  const time = '2026-11-23T21:44:11.6319+01:00'
  const { code, stderr } = await send(['--to', alice.id, '--message', '"then"', '--created-at', time])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const event = await stream.next(({ message }) => (message as unknown) === 'then')
  expect(event['sentAt']).toBe('2026-11-23T20:44:11.631Z')
  stream.close()
})

test('the same id again is sent once, with another message it is refused', async () => {
  const parameters = ['--to', alice.id, '--id', randomUUID(), '--message']
  const first = await send([...parameters, '{"a":1,"b":2}'])
  const before = await eventCount()
  const again = await send([...parameters, '{"b":2,"a":1}'])
  expect(again).toEqual({ ...first, stdout: first.stdout.replace('sent to', 'sent before to') })
  const { code, stderr } = await send([...parameters, '{"a":2}'])
  expect({ code, stderr }).toEqual({ code: 1, stderr: 'ism: id was used for another notification.\n' })
  expect(await eventCount()).toBe(before)
})

test('takes users from a file with comments, and the message from standard input', async () => {
  const files = { 'users.txt': `# our own\n${alice.id}\r\n\n${bob.id} , ${alice.id} # twice\n` }
  for (const source of [['-'], ['--message-file', '-']]) {
    const { code, stdout } = await send(['--to-file', 'users.txt', '--json', ...source], { files, stdin: '"tea"\n' })
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual({
      dryRun: false,
      notifications: [
        { id: expect.stringMatching(/^[0-9a-f-]{36}$/), seq: expect.any(Number), recipients: 2, repeated: false },
      ],
      recipients: 2,
      unknownUsers: [],
    })
  }
})

test('names the users that it does not know, and serves the others', async () => {
  const [stranger, deleted] = [randomUUID(), (await server.people('gone'))[0]]
  await server.sql.query('update app_user set deleted_at = now() where id = $1', [deleted.id])
  const to = [stranger, bob.id, deleted.id].join()
  const { code, stdout, stderr } = await send(['--to', to, '--message', '1'])
  expect(code).toBe(0)
  expect(stdout).toMatch(/^seq \d+: sent to 1 user, id /)
  expect(stderr).toBe(`unknown user: ${stranger}\nunknown user: ${deleted.id}\n`)
})

test('fails where nobody is known', async () => {
  const before = await eventCount()
  const { code, stdout, stderr } = await send(['--to', randomUUID(), '--message', '1'])
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toMatch(/\nism: none of the users is known to ISM: nothing was sent\n$/)
  expect(await eventCount()).toBe(before)
})

test('--dry-run sends nothing, and says who is known', async () => {
  const [before, stranger] = [await eventCount(), randomUUID()]
  const { code, stdout, stderr } = await send(['--to', `${stranger},${bob.id}`, '--message', '1', '--dry-run'])
  expect({ code, stdout, stderr }).toEqual({
    code: 0,
    stdout: 'would be sent to 1 user\n',
    stderr: `unknown user: ${stranger}\n`,
  })
  expect(await eventCount()).toBe(before)
})

describe('a list of more than 10,000', () => {
  const strangers = Array.from({ length: 20_000 }, () => randomUUID())
  const files = () => ({ 'users.txt': [...strangers, alice.id].join('\n'), 'message.json': '{"text":"all"}' })
  const parameters = ['--to-file', 'users.txt', '--message-file', 'message.json']

  test('goes out in several notifications, each once, and an id repeats them all', async () => {
    const id = randomUUID()
    const first = await send([...parameters, '--json', '--id', id], { files: files() })
    expect(first).toMatchObject({ code: 0, stderr: '' })
    const report = JSON.parse(first.stdout)
    expect(report.notifications.map(({ seq }: { seq: number | null }) => seq === null)).toEqual([true, true, false])
    expect(report).toMatchObject({ recipients: 1, unknownUsers: strangers })
    const before = await eventCount()
    const again = JSON.parse((await send([...parameters, '--json', '--id', id], { files: files() })).stdout)
    expect(again.notifications[2]).toEqual({ ...report.notifications[2], repeated: true })
    expect(await eventCount()).toBe(before)
  })

  test('shows its progress on a terminal, and on nothing else', async () => {
    const terminal = await send(parameters, { files: files(), isTerminal: true })
    expect(terminal.stderr).toContain('\r[###############---------------] 10000 of 20001')
    expect(terminal.stderr).toContain('\r\u001b[Kunknown user: ')
    expect(terminal.stderr).toContain('and 19990 more unknown users')
    expect((await send(parameters, { files: files() })).stderr).not.toContain('[')
  })
})

describe('is refused', () => {
  const to = ['--to', randomUUID()]
  test.each<[string, string[], RegExp]>([
    ['without users', ['--message', '1'], /users once: --to or --to-file/],
    ['with users twice', [...to, '--to-file', 'x', '--message', '1'], /users once/],
    ['without a message', to, /message once/],
    ['with a message twice', [...to, '--message', '1', '-'], /message once/],
    ['with another argument', [...to, '--message', '1', 'x'], /"x" is no argument/],
    ['with an id that is none', [...to, '--message', '1', '--id', 'x'], /Expected a UUID/],
    ['with a time that is none', [...to, '--message', '1', '--created-at', 'yesterday'], /Expected a time such as/],
    ['with a day that does not exist', [...to, '--message', '1', '--created-at', '2026-02-30T00:00:00Z'], /Expected a/],
    ['with both from standard input', ['--to-file', '-', '-'], /cannot both/],
  ])('%s, as wrong usage', async (_, argv, reason) => {
    const { code, stderr } = await ism(['send-notification', ...argv])
    expect({ code, lines: stderr.split('\n').length }).toEqual({ code: 2, lines: 2 })
    expect(stderr).toMatch(reason)
  })

  test.each<[string, string[], string]>([
    ['users that are none', ['--to', 'alice', '--message', '1'], '--to: "alice" is no UUID'],
    ['a list without users', ['--to', ' ,', '--message', '1'], '--to names no user'],
    ['a file that is not there', ['--to-file', 'x', '--message', '1'], 'x cannot be read (ENOENT)'],
    ['no JSON', [...to, '--message', '{a}'], 'The message is not valid JSON.'],
    [
      'text that no client can hold',
      [...to, '--message', '"\\ud800"'],
      'The message may not contain U+0000 or a lone surrogate.',
    ],
    [
      'a number that would become another one',
      [...to, '--message', '{"id":9007199254740993}'],
      'message.id: must be between ±9007199254740991; send it as a text',
    ],
    ['a field that would be dropped', [...to, '--message', '{"__proto__":1}'], 'A field may not be named __proto__.'],
    [
      'a message that is too long',
      [...to, '--message', JSON.stringify('x'.repeat(64 * 1024))],
      'message: may have at most 65536 bytes of JSON.',
    ],
  ])('%s', async (_, argv, reason) => {
    expect(await send(argv)).toEqual({ code: 1, stdout: '', stderr: `ism: ${reason}\n` })
  })

  test('a bad line of a file, by its number', async () => {
    const { stderr } = await send(['--to-file', 'u', '--message', '1'], { files: { u: `${alice.id}\nbob\n` } })
    expect(stderr).toBe('ism: u, line 2: "bob" is no UUID\n')
  })

  test('a database that does not answer, with what to do then', async () => {
    const { code, stderr } = await sendTo({ ...server.config.postgres, port: 1 })
    expect(code).toBe(1)
    expect(stderr).toMatch(/^ism: 0 of 1 users: .*ECONNREFUSED.*--id [0-9a-f-]{36} the same command .*\n$/)
  })

  test('a database that is behind, with what to do then', async () => {
    const database = await createDatabase({ empty: true })
    const { code, stderr } = await sendTo(database.config)
    await database.drop()
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^ism: the database is behind this ISM: run "ism migrate".*\n$/),
    })
  })

  async function sendTo(postgres: PostgresConfig) {
    const cwd = await configuredFor({ config: { ...server.config, postgres }, issuer: server.issuer })
    return ism(['send-notification', ...to, '--message', '1'], { cwd })
  }
})
