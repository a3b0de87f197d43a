/** The archiver and Cassandra are killed under load: each answered message is in Cassandra once, and another node takes over. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createGroup } from '../nodes/everywhere.ts'
import { eventually } from '../support/eventually.ts'
import { createKeyspace, type TestKeyspace } from '../support/keyspace.ts'
import { Ledger } from '../support/ledger.ts'
import { type IsmNode, Service } from '../support/node.ts'
import { sendPersistently } from '../support/persistent-clients.ts'
import type { Person } from '../support/person.ts'
import { ServerProcess } from '../support/server-process.ts'
import { describeWith } from '../support/services.ts'
import { endProcesses } from '../support/test-process.ts'

const HAND_OVER_MS = 10_000
const VARIABLES = ['ISM_TEST_CASSANDRA', 'ISM_TEST_START_CASSANDRA'] as const

describeWith(VARIABLES, 'the archiver', ({ ISM_TEST_CASSANDRA: address, ISM_TEST_START_CASSANDRA: startCommand }) => {
  const cassandra = new ServerProcess('Cassandra', address, startCommand)
  let keyspace: TestKeyspace
  let service: Service
  let nodes: [IsmNode, IsmNode]

  beforeAll(async () => {
    keyspace = await createKeyspace(address)
    const sections = { message_db_config: { db_url: address, db_keyspace: keyspace.config.keyspace } }
    service = await Service.create(undefined, { sections })
    nodes = await Promise.all([service.node(), service.node()])
  })
  afterAll(async () => {
    // Others need it, whatever became of this test.
    await cassandra.start()
    await endProcesses()
    await service.close()
    await keyspace.drop()
  })

  const position = async () => {
    const { rows } = await service.sql.query<{ seq: string }>(`select seq from projection where name = 'archive'`)
    return Number(rows[0]?.seq)
  }
  const holder = async () => {
    const { rows } = await service.sql.query<{ holder: string }>(`select holder from projection where name = 'archive'`)
    return rows[0]?.holder
  }
  const head = async () => {
    const { rows } = await service.sql.query<{ seq: string }>('select max(seq) as seq from event')
    return Number(rows[0]?.seq)
  }

  it('loses and doubles nothing, and hands over within ten seconds', { timeout: 300_000 }, async () => {
    const people = await service.people(8, nodes)
    const ledger = new Ledger()
    for (let n = 0; n < 4; n++) ledger.addRoom(await createGroup(people, `room ${n}`, nodes[0].url), people)
    let over = false
    const sending = people.map(async (person: Person) => {
      for (let turn = 0; !over; turn++) {
        const roomId = ledger.rooms[turn % 4] as string
        const urls = nodes.map(({ url }) => url)
        ledger.record((await sendPersistently(person, urls, roomId, `${person.name}, ${turn}`)).message)
      }
    })

    // Whoever awaits them learns of it.
    for (const each of sending) each.catch(() => {})

    // After the first of them the other node has the archive, so that one of the two was its archiver.
    const holders = new Set<string | undefined>()
    for (const node of [...nodes, ...nodes]) {
      await eventually('the archive moves', async () => (await position()) > 0)
      holders.add(await holder())
      await node.kill('SIGKILL')
      const killedAt = await head()
      await eventually('another node goes on', async () => (await position()) > killedAt, HAND_OVER_MS)
      await node.restart()
    }
    expect(holders.size).toBeGreaterThan(1)

    // What it acknowledged just before it was killed is lost with it, and is written again.
    for (let kill = 0; kill < 3; kill++) {
      await cassandra.kill()
      const stoppedAt = await head()
      await eventually('sends go on', async () => (await head()) > stoppedAt + 200, 30_000)
      await cassandra.start()
      await eventually('the archive goes on', async () => (await position()) > stoppedAt + 200, 60_000)
    }

    over = true
    await Promise.all(sending)
    const last = await head()
    await eventually('the archive is done', async () => (await position()) >= last, 60_000)
    ledger.expectNumbered()
    // The log alone could not tell: what is in Cassandra is compared with what was answered.
    const { rows } = await keyspace.client.execute('select room_id, room_seq, message_id from message', [], {
      fetchSize: 1_000_000,
    })
    const stored = rows.map((row) => `${row['room_id']} ${row['room_seq']} ${row['message_id']}`).sort()
    expect(new Set(stored).size).toBe(stored.length)
    expect(stored).toEqual(ledger.keys().sort())
    for (const roomId of ledger.rooms) await ledger.expectTimeline(people[0] as Person, roomId)
  })
})
