/** Who takes a notification in is killed in the middle, and it is sent again with its id: users get it once. */
import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { directoryWith } from '../support/command-line.ts'
import { holdLogLock } from '../support/log-lock.ts'
import { Service } from '../support/node.ts'
import type { Person } from '../support/person.ts'
import { newSecret, signedHeaders } from '../support/signed-request.ts'
import { endProcesses, startIsmProcess } from '../support/test-process.ts'

const secret = newSecret()
let service: Service
beforeEach(async () => {
  service = await Service.create(undefined, { sections: { webhook_config: { secrets: [secret] } } })
})
afterEach(async () => {
  await endProcesses()
  await service.close()
})

const holdLock = () => holdLogLock({ ...service.postgres, ssl: false })

const appended = async () =>
  (await service.sql.query('select message_id as id, recipients from event where type = 8 order by seq')).rows

test('kill -9 of the node during POST /api/notifications', async () => {
  const [node, other] = [await service.node(), await service.node()]
  const [alice] = (await service.people(1, [other])) as [Person]
  const stream = await alice.stream()
  const id = randomUUID()
  const body = JSON.stringify({ id, toUsers: [alice.id], message: 'once' })
  const post = () =>
    fetch(`${node.url}/api/notifications`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...signedHeaders(secret, `msg_${randomUUID()}`, body) },
      body,
    })

  const lock = await holdLock()
  const first = post().catch((error: unknown) => error)
  await lock.isWaitedFor()
  await node.kill('SIGKILL')
  expect(await first).toBeInstanceOf(Error)
  // The database may go on with what it was asked, though nobody waits for it.
  await lock.release()
  await node.restart()
  const answer = await post()
  expect(await answer.json()).toMatchObject({ id, recipients: 1, seq: expect.any(Number) })
  expect(await appended()).toEqual([{ id, recipients: [alice.id] }])

  const last = randomUUID()
  const end = JSON.stringify({ id: last, toUsers: [alice.id], message: 'the end' })
  const headers = { 'content-type': 'application/json', ...signedHeaders(secret, last, end) }
  await fetch(`${node.url}/api/notifications`, { method: 'POST', headers, body: end })
  await stream.next(({ notificationId }) => notificationId === last)
  expect(stream.ofType('SystemMessage').map(({ message }) => message)).toEqual(['once', 'the end'])
})

test('kill -9 of ism send-notification, in the first part of a long list and in the second', async () => {
  const node = await service.node()
  const [alice, bob] = (await service.people(2, [node])) as [Person, Person]
  const directory = await directoryWith({})
  // The second part is for Bob alone.
  const strangers = Array.from({ length: 9_999 }, () => randomUUID())
  await writeFile(`${directory}/users.txt`, [alice.id, ...strangers, bob.id].join('\n'))
  const id = randomUUID()
  const to = ['--to-file', `${directory}/users.txt`, '--message', '"once"', '--id', id]
  const command = async () => startIsmProcess(['send-notification', '--config', await service.configuration(), ...to])

  const first = await holdLock()
  const one = await command()
  await first.isWaitedFor()
  await one.kill('SIGKILL')
  await first.release()

  const second = await holdLock()
  const two = await command()
  await second.isWaitedFor()
  // Has the lock when the first part has been appended; the second part then waits for it.
  const third = holdLock()
  await second.isWaitedFor(2)
  await second.release()
  await (await third).isWaitedFor()
  expect((await appended()).map(({ recipients }) => recipients)).toEqual([[alice.id]])
  await two.kill('SIGKILL')
  await (await third).release()

  const three = await command()
  expect(await three.exited).toMatchObject({ code: 0 })
  expect((await appended()).map(({ recipients }) => recipients)).toEqual([[alice.id], [bob.id]])
  expect((await appended())[0].id).toBe(id)
})
