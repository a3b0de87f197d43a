/** `ism serve` on a configuration: how it starts, or says in one line why it does not, and how it makes room for another. */
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { holdLogLock } from '../support/log-lock.ts'
import { reservedPort, Service } from '../support/node.ts'
import { Reader } from '../support/persistent-clients.ts'
import type { Person } from '../support/person.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import { endProcesses, startIsmProcess, type TestProcess } from '../support/test-process.ts'

let service: Service
beforeAll(async () => {
  service = await Service.create()
})
afterEach(endProcesses)
afterAll(() => service.close())

test('SIGTERM closes the listener, then ends streams, which resume elsewhere and lose nothing', async () => {
  const [leaving, staying] = await Promise.all([service.node(), service.node()])
  const [alice, bob] = (await service.people(2, [leaving])) as [Person, Person]
  const roomId = await alice.createRoom([bob])
  const reader = await Reader.open(bob, [leaving.url, staying.url])
  await alice.send(roomId, 'before')
  const lock = await holdLogLock(databaseOf(service))
  const inFlight = alice.send(roomId, 'in flight')
  await lock.isWaitedFor()

  const started = performance.now()
  leaving.signal('SIGTERM')
  await reader.until('its second connection', () => reader.connections === 1)
  // By a connection of its own: one that is kept from before may be told of its end a moment later.
  const late = once(connect(leaving.port, '127.0.0.1'), 'connect')
  await expect(late).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  expect(leaving.process.exit).toBeUndefined()
  await lock.release()
  expect(await inFlight).toMatchObject({ status: 200 })
  await alice.at(staying.url).send(roomId, 'after')

  expect(await leaving.process.exited).toEqual({ code: 0, signal: null })
  expect(performance.now() - started).toBeLessThan(10_000)
  await reader.next('the last message', ({ message }) => message?.msgBody.text === 'after')
  await reader.stop()
  const texts = reader.events.flatMap(({ message }) => (message ? [message.msgBody.text] : []))
  expect(texts).toEqual(['before', 'in flight', 'after'])
})

test('a port that is taken', async () => {
  const other = createServer()
  const port = await reservedPort()
  await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve))
  try {
    await expectRefusal(await serve('--port', String(port)), new RegExp(`EADDRINUSE.*127\\.0\\.0\\.1:${port}`))
  } finally {
    other.close()
  }
})

test('a database that was never migrated is refused, and --migrate migrates it', async () => {
  const empty = await Service.create(undefined, { empty: true })
  try {
    const config = await empty.configuration()
    const parameters = ['serve', '--config', config, '--port', '0']
    await expectRefusal(await startIsmProcess(parameters), /the database is behind this ISM: 0001_.*Run "ism migrate"/)
    const migrating = await startIsmProcess([...parameters, '--migrate'])
    await migrating.until('where it listens', (output) => output.includes('"msg":"listening"'))
    await migrating.kill('SIGTERM')
    const again = await startIsmProcess(parameters)
    await again.until('where it listens', (output) => output.includes('"msg":"listening"'))
    expect(await again.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  } finally {
    await endProcesses()
    await empty.close()
  }
})

test('a PostgreSQL that asks for a password where none is configured is not waited for', async () => {
  const config = await service.configuration({ password: '' })
  const refused = await startIsmProcess(['serve', '--config', config, '--port', '0'])
  await expectRefusal(refused, /asks for a password, and user_db_config\.db_password is empty/)
  expect(refused.stdout).not.toContain('trying again')
})

test('a PostgreSQL that is not there is tried again until somebody stops ISM', async () => {
  const config = await service.configuration({ port: await reservedPort() })
  const waiting = await startIsmProcess(['serve', '--config', config, '--port', '0'])
  await waiting.until('a second try', (output) => output.split('PostgreSQL does not answer: trying again').length > 2)
  const started = performance.now()
  expect(await waiting.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  expect(performance.now() - started).toBeLessThan(4_000)
  expect(waiting.stderr).toBe('')
})

test('one that goes away holds nobody up who stops ISM', async () => {
  const proxy = await startTcpProxy(service.postgres)
  try {
    const config = await service.configuration({ port: proxy.port })
    const serving = await startIsmProcess(['serve', '--config', config, '--port', '0'])
    await serving.until('where it listens', (output) => output.includes('"msg":"listening"'))
    await proxy.refuse()
    await serving.until('the log to be read in vain', (output) => output.includes('the log could not be read'))
    expect(await serving.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  } finally {
    await endProcesses()
    await proxy.close()
  }
})

test.skipIf(!existsSync('/dev/full'))(
  'a log that cannot be written, as on a full disk, keeps nobody from being served, and ISM from its end',
  async () => {
    const full = await open('/dev/full', 'w')
    const port = await reservedPort()
    const parameters = ['serve', '--config', await service.configuration(), '--port', String(port)]
    const process = await startIsmProcess(parameters, { output: full.fd })
    const health = async () => (await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined))?.status
    await eventually('it serves', async () => (await health()) === 200, 20_000)
    for (let n = 0; n < 100; n++) expect(await health()).toBe(200)
    expect(await process.kill('SIGTERM')).toEqual({ code: 1, signal: null })
    await full.close()
  },
)

async function serve(...more: string[]): Promise<TestProcess> {
  return startIsmProcess(['serve', '--config', await service.configuration(), ...more])
}

/** Exit code 1, and one line on standard error. */
async function expectRefusal(refused: TestProcess, line: RegExp): Promise<void> {
  expect(await refused.exited).toEqual({ code: 1, signal: null })
  expect(refused.stderr).toMatch(/^ism: .*\n$/)
  expect(refused.stderr).toMatch(line)
}

const databaseOf = ({ postgres }: Service) => ({ ...postgres, ssl: false })
