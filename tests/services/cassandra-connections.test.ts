/** What a client of Cassandra's is connected with after the whole cluster was away: with as much as before. */
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createClient } from '../../src/infra/cassandra.ts'
import { eventually } from '../support/eventually.ts'
import { cassandraConfig } from '../support/keyspace.ts'
import { describeWith } from '../support/services.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'

const OUTAGES = 4
/** Longer than the driver waits between two attempts to reach a node. */
const RECONNECTED_MS = 2_500

const VARIABLES = ['ISM_TEST_CASSANDRA', 'ISM_TEST_CASSANDRA_DC'] as const

describeWith(VARIABLES, 'Cassandra', ({ ISM_TEST_CASSANDRA: address, ISM_TEST_CASSANDRA_DC: datacenter }) => {
  let proxy: TcpProxy
  let client: ReturnType<typeof createClient>

  beforeEach(async () => {
    const [host = '', port = ''] = address.split(':')
    proxy = await startTcpProxy({ host, port: Number(port) })
    client = createClient(cassandraConfig(`127.0.0.1:${proxy.port}`), { datacenter })
    await client.connect()
  })
  afterEach(async () => {
    await client.shutdown()
    await proxy.close()
  })

  const logged = (text: string) =>
    new Promise<void>((resolve) => {
      const listener = (_level: string, _from: string, message: string) => {
        if (!message.includes(text)) return
        client.off('log', listener)
        resolve()
      }
      client.on('log', listener)
    })
  const answers = () =>
    client.execute('select key from system.local').then(
      () => true,
      () => false,
    )

  it('outages leave no connection, and no attempt at one, behind', async () => {
    await eventually('it answers', answers)
    const before = proxy.open()
    for (let outage = 0; outage < OUTAGES; outage++) {
      const gaveUp = logged('scheduling reconnection')
      await proxy.refuse()
      await gaveUp
      await proxy.pass()
      await eventually('it answers again', answers)
    }
    await delay(RECONNECTED_MS)
    expect(proxy.open()).toBe(before)
  })
})
