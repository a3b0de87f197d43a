/** Shutdown while the message store takes nothing: in order, and in time. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createGroup } from '../nodes/everywhere.ts'
import { eventually } from '../support/eventually.ts'
import { createKeyspace, type TestKeyspace } from '../support/keyspace.ts'
import { type IsmNode, Service } from '../support/node.ts'
import type { Person } from '../support/person.ts'
import { ServerProcess } from '../support/server-process.ts'
import { describeWith } from '../support/services.ts'
import { endProcesses } from '../support/test-process.ts'

const VARIABLES = ['ISM_TEST_CASSANDRA', 'ISM_TEST_START_CASSANDRA'] as const

describeWith(
  VARIABLES,
  'a node that is told to stop while Cassandra is frozen',
  ({ ISM_TEST_CASSANDRA: address, ISM_TEST_START_CASSANDRA: startCommand }) => {
    const cassandra = new ServerProcess('Cassandra', address, startCommand)
    let keyspace: TestKeyspace
    let service: Service
    let node: IsmNode

    beforeAll(async () => {
      keyspace = await createKeyspace(address)
      const sections = { message_db_config: { db_url: address, db_keyspace: keyspace.config.keyspace } }
      service = await Service.create(undefined, { sections })
      node = await service.node()
    })
    afterAll(async () => {
      await endProcesses()
      await service.close()
      await keyspace.drop()
    })

    it('ends with exit 0, also where a client is not done with its request', { timeout: 60_000 }, async () => {
      const people = await service.people(2, [node])
      const [alice] = people as [Person, Person]
      const roomId = await createGroup(people, 'room', node.url)
      try {
        await cassandra.freeze()
        expect((await alice.send(roomId, 'Hello')).status).toBe(200)
        const hasFailed = async () => node.log.some(({ msg }) => msg === 'a projection failed: trying again')
        await eventually('the archive waits for Cassandra', hasFailed, 20_000)
        const request = await beginRequest(node.port, alice.token)
        const started = performance.now()
        expect(await node.kill('SIGTERM')).toMatchObject({ code: 0 })
        expect(performance.now() - started).toBeLessThan(10_000)
        request.destroy()
      } finally {
        await cassandra.thaw()
      }
    })
  },
)

/** Resolves once the node waits for its body, which never comes. */
async function beginRequest(port: number, token: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  const head = ['POST /api/send-msg HTTP/1.1', 'Host: ism', 'Content-Type: application/json', 'Content-Length: 99']
  socket.write([...head, `Authorization: Bearer ${token}`, 'Expect: 100-continue', '', ''].join('\r\n'))
  const [answer] = await once(socket, 'data')
  expect(String(answer)).toContain('100 Continue')
  return socket
}
