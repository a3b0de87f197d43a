/** What a client of Cassandra's is connected with after the whole cluster was away: with as much as before. */
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Cassandra, createClient } from '../../src/infra/cassandra.ts'
import { eventually } from '../support/eventually.ts'
import { cassandraConfig } from '../support/keyspace.ts'
import { describeWith } from '../support/services.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'

const OUTAGES = 4
/** Longer than the driver waits between two attempts to reach a node. */
const RECONNECTED_MS = 2_500

const VARIABLES = ['ISM_TEST_CASSANDRA', 'ISM_TEST_CASSANDRA_DC'] as const

describeWith(VARIABLES, 'Cassandra', ({ ISM_TEST_CASSANDRA: address, ISM_TEST_CASSANDRA_DC: datacenter }) => {
  const [host = '', port = ''] = address.split(':')
  const upstream = { host, port: Number(port) }
  let proxy: TcpProxy
  let client: ReturnType<typeof createClient>

  beforeEach(async () => {
    proxy = await startTcpProxy(upstream)
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

  it('a node that is away for a while is used again', async () => {
    for (let outage = 0; outage < 2; outage++) {
      await proxy.refuse()
      for (let attempt = 0; attempt < 3; attempt++) await logged('scheduling reconnection')
      await proxy.pass()
      await eventually('it answers again', answers)
    }
  })

  it('where nothing answers for long, nodes are looked for anew, which may have moved', async () => {
    const moved = await startTcpProxy(upstream)
    const addresses = [proxy.port, moved.port]
    const cassandra = new Cassandra(async () => {
      const opened = createClient(cassandraConfig(`127.0.0.1:${addresses.shift()}`), { datacenter })
      await opened.connect()
      return opened
    }, 1_000)
    const reads = () =>
      cassandra.read('select key from system.local', []).then(
        () => true,
        () => false,
      )
    expect(await reads()).toBe(true)
    await proxy.refuse()
    await eventually('it answers from elsewhere', reads)
    expect(addresses).toEqual([])
    expect(cassandra.interruptions).toBeGreaterThan(0)
    await cassandra.close()
    await moved.close()
  })

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
