/** `ism serve --embedded` from the outside: what it prints, how it ends, and what the next start finds. */
import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest'
import { signal } from '../../src/embedded/processes.ts'
import { EmbeddedIsm } from '../support/embedded-ism.ts'
import { eventually } from '../support/eventually.ts'
import { holdLogLock } from '../support/log-lock.ts'
import type { Person } from '../support/person.ts'
import { stillThere } from '../support/process-table.ts'
import { endProcesses, startIsmProcess, TestProcess } from '../support/test-process.ts'

const STOP_MS = 10_000
/** "Within a few seconds." */
const CHILDREN_GONE_MS = 5_000
const NOBODY = { uid: 65534, gid: 65534 }
const hasCurl = spawnSync('curl', ['--version']).status === 0

/** Used and stopped by the first test: a copy of it starts in a second. */
let used: string
beforeAll(async () => {
  used = await mkdtemp(join(tmpdir(), 'ism data of tests-'))
})
afterEach(endProcesses)
afterAll(() => rm(used, { recursive: true, force: true }))

test('the first start prints an address, people, and lines that make a chat when followed', async () => {
  const ism = await EmbeddedIsm.start(used)
  expect(ism.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
  expect(ism.process.stdout).toContain(`Data directory: ${used}\n`)
  for (const name of ['alice', 'bob', 'carol']) expect(ism.person(name).id).toMatch(/^[0-9a-f-]{36}$/)
  // They are known before they come: nobody has to open a stream to be invited.
  expect(await ism.person('alice').createRoom([ism.person('carol')])).toMatch(/^[0-9a-f-]{36}$/)
  expect(ism.shellLines()).toHaveLength(3)
  if (hasCurl) await followPrintedLines(ism)
  await expectEnd(ism, 'SIGTERM')
})

test('SIGINT answers the send in flight, ends the open stream, and leaves no child', async () => {
  const ism = await EmbeddedIsm.start(await copyOfUsed())
  const [alice, bob] = [ism.person('alice'), ism.person('bob')]
  const stream = await bob.stream()
  const roomId = await alice.createRoom([bob])
  const lock = await holdLogLock(ism.postgres)
  const sending = alice.send(roomId, 'in flight')
  await lock.isWaitedFor()
  const ending = expectEnd(ism, 'SIGINT')
  await stream.until(() => stream.ended, 'its end')
  await lock.release()
  expect(await sending).toMatchObject({ status: 200 })
  await ending
})

test('one that is stopped while its database is made does not begin to serve', async () => {
  const data = await mkdtemp(join(tmpdir(), 'ism data of tests-'))
  onTestFinished(() => rm(data, { recursive: true, force: true }))
  const early = await startIsmProcess(['serve', '--embedded', '--port', '0', '--data', data])
  await early.until('that the database is made', (output) => output.includes('Making the database cluster'))
  expect(await early.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  expect(early.stdout).toBe('')
})

test('a second one on the data directory is refused; ism token works beside the first', async () => {
  const ism = await EmbeddedIsm.start(await copyOfUsed())
  const second = await startIsmProcess(['serve', '--embedded', '--port', '0', '--data', ism.data])
  expect(await second.exited).toEqual({ code: 1, signal: null })
  expect(second.output.trim()).toBe(
    `ism: Process ${ism.process.pid} already runs ISM on ${ism.data}: stop it, or name another directory with --data.`,
  )
  const alice = ism.person('alice', await printToken(ism.data, 'alice'))
  expect((await alice.get(`/api/users/${alice.id}`)).body.user).toMatchObject({ id: alice.id, displayName: 'alice' })
  const somebodyNew = ism.person('alice', await printToken(ism.data, 'dave'))
  expect(await somebodyNew.get('/api/rooms')).toMatchObject({ status: 200, body: [] })
})

test('it finds everything again after each kind of end', { timeout: 120_000 }, async () => {
  const conversation = await Conversation.begin(await copyOfUsed())
  await expectEnd(conversation.ism, 'SIGTERM')
  // Nothing runs: a token is printed all the same.
  expect(await printToken(conversation.ism.data, 'erin')).toMatch(/^ey[\w.-]+$/)
  await conversation.startAgain()

  await expectNothingLeft(conversation.ism, () => conversation.ism.process.kill('SIGKILL'))
  await conversation.startAgain()

  await conversation.outliveItsDatabase()
  await conversation.goOn()

  await expectNothingLeft(conversation.ism, async () => {
    await killPostmaster(conversation.ism)
    await conversation.ism.process.kill('SIGKILL')
  })
  await conversation.startAgain()
})

test.skipIf(!canLend())('an ordinary user runs it, without a locale', async () => {
  const data = join(tmpdir(), `ism of nobody ${process.pid}`)
  onTestFinished(async () => {
    await endProcesses()
    const remove = `require('fs').rmSync(process.argv[1], { recursive: true, force: true })`
    spawnSync(process.execPath, ['-e', remove, data], NOBODY)
  })
  const ism = await EmbeddedIsm.start(data, { ...NOBODY, cwd: '/', env: { PATH: process.env['PATH'] ?? '' } })
  const [alice, bob] = [ism.person('alice'), ism.person('bob')]
  await bob.get('/api/rooms')
  expect(await alice.send(await alice.createRoom([bob]), 'Hello')).toMatchObject({ status: 200 })
  await expectEnd(ism, 'SIGTERM')
})

/** The same room over many starts, with the tokens of the first: everything said must still be there. */
class Conversation {
  ism: EmbeddedIsm
  readonly #data: string
  readonly #tokens: [string, string]
  readonly #texts: string[] = []
  #roomId = ''

  private constructor(ism: EmbeddedIsm) {
    this.ism = ism
    this.#data = ism.data
    this.#tokens = [ism.person('alice').token, ism.person('bob').token]
  }

  static async begin(data: string): Promise<Conversation> {
    const conversation = new Conversation(await EmbeddedIsm.start(data))
    conversation.#roomId = await conversation.#alice.createRoom([conversation.#bob], 'Kept')
    await conversation.goOn()
    return conversation
  }

  get #alice(): Person {
    return this.ism.person('alice', this.#tokens[0])
  }

  get #bob(): Person {
    return this.ism.person('bob', this.#tokens[1])
  }

  async startAgain(): Promise<void> {
    this.ism = await EmbeddedIsm.start(this.#data)
    await this.goOn()
  }

  async outliveItsDatabase(): Promise<void> {
    const killed = await killPostmaster(this.ism)
    await eventually('another PostgreSQL runs', async () => ![killed, undefined].includes(await this.ism.postmaster()))
    await eventually('ISM has it again', async () => (await this.#bob.get('/api/rooms')).status === 200)
  }

  async goOn(): Promise<void> {
    const text = `message ${this.#texts.length}`
    expect(await this.#alice.send(this.#roomId, text)).toMatchObject({ status: 200 })
    this.#texts.push(text)
    const timeline = await this.#bob.timeline(this.#roomId)
    expect(timeline.map(({ msgBody }) => msgBody.text).reverse()).toEqual(this.#texts)
  }
}

/** In two shells, as the printed text says. */
async function followPrintedLines(ism: EmbeddedIsm): Promise<void> {
  const [stream, ...chat] = ism.shellLines()
  const listening = new TestProcess('sh', ['-c', `exec ${stream}`])
  await listening.until('the beginning', (output) => output.includes('event: cursor'))
  const sending = new TestProcess('sh', ['-c', chat.join('\n')])
  expect(await sending.exited).toEqual({ code: 0, signal: null })
  await listening.until('the message', (output) => output.includes('"text":"Hello Bob, this is Alice."'))
}

async function expectEnd(ism: EmbeddedIsm, name: NodeJS.Signals): Promise<void> {
  await expectNothingLeft(ism, async () => {
    const started = performance.now()
    expect(await ism.process.kill(name)).toEqual({ code: 0, signal: null })
    expect(performance.now() - started).toBeLessThan(STOP_MS)
  })
}

/** After an orderly end the children are gone before ISM is; they learn of a kill only when it has happened. */
async function expectNothingLeft(ism: EmbeddedIsm, end: () => Promise<unknown>): Promise<void> {
  const children = await ism.children()
  // The watchdog, the postmaster and what that one needs at least.
  expect(children.length).toBeGreaterThan(4)
  await end()
  const patience = ism.process.exit?.signal === 'SIGKILL' ? CHILDREN_GONE_MS : 0
  await eventually('no child is left', async () => (await stillThere(children)).length === 0, patience)
}

async function killPostmaster(ism: EmbeddedIsm): Promise<number> {
  const pid = (await ism.postmaster()) ?? 0
  // 0 would be this process's own group.
  expect(pid).toBeGreaterThan(1)
  signal(pid, 'SIGKILL')
  return pid
}

async function printToken(data: string, name: string): Promise<string> {
  const printing = await startIsmProcess(['token', name, '--data', data])
  expect(await printing.exited).toEqual({ code: 0, signal: null })
  return printing.stdout.trim()
}

/** A directory of the test's own, whose name a shell or a URL could trip over. */
async function copyOfUsed(): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), "ism's data ü-"))
  onTestFinished(async () => {
    await endProcesses()
    await rm(copy, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  })
  // Owners and modes are kept, which fs.cp does not do.
  await promisify(execFile)('cp', ['-a', `${used}/.`, copy])
  return copy
}

/** A checkout in root's own home cannot be read by anybody else. */
function canLend(): boolean {
  const program = fileURLToPath(new URL('../../bin/ism.js', import.meta.url))
  const read = `require('fs').readFileSync(process.argv[1])`
  return process.getuid?.() === 0 && spawnSync(process.execPath, ['-e', read, program], NOBODY).status === 0
}
