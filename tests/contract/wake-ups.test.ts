/** The contract of wake-ups, by PostgreSQL's LISTEN and NOTIFY. */
import pg from 'pg'
import { expect, test } from 'vitest'
import { openPostgresWakeUps } from '../../src/log/wake-ups-postgres.ts'
import { createDatabase } from '../support/database.ts'
import { eventually } from '../support/eventually.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import { describeWakeUps, type WakeUpServer } from './wake-ups.contract.ts'

/** As promised. */
const KNOWN_MS = 1_000

async function start(): Promise<WakeUpServer> {
  const [here, elsewhere] = await Promise.all([createDatabase({ empty: true }), createDatabase({ empty: true })])
  const proxy = await startTcpProxy(here.config)
  const client = new pg.Client({ ...here.config, ssl: false })
  await client.connect()
  const others = { userChanged: () => {}, ticketUsed: () => {}, silent: () => {} }
  return {
    open: (handlers) =>
      openPostgresWakeUps({ ...here.config, host: '127.0.0.1', port: proxy.port }, Object.assign(handlers, others)),
    openElsewhere: (handlers) => openPostgresWakeUps(elsewhere.config, Object.assign(handlers, others)),
    append: async (seq) => void (await client.query(`select pg_notify('ism_log', $1)`, [String(seq)])),
    cut: proxy.refuse,
    mend: proxy.pass,
    async close() {
      await client.end()
      await proxy.close()
      await Promise.all([here.drop(), elsewhere.drop()])
    },
  }
}

describeWakeUps('PostgreSQL', start)

test('PostgreSQL tells of changed people, too', async () => {
  const { config, drop } = await createDatabase()
  const client = new pg.Client({ ...config, ssl: false })
  await client.connect()
  const changed: string[] = []
  let connected = false
  const wakeUps = openPostgresWakeUps(config, {
    woken: () => expect.fail('nothing was appended'),
    connected: () => {
      connected = true
    },
    failed: () => {},
    userChanged: (userId) => changed.push(userId),
    ticketUsed: () => {},
    silent: () => {},
  })
  await eventually('it listens', async () => connected)
  const { rows } = await client.query(
    `insert into app_user (id, created_at, display_name, friends_count, street_credits, role)
    values (gen_random_uuid(), now(), 'alice', 0, 0, 'USER') returning id`,
  )
  await client.query('update app_user set deleted_at = now()')
  await eventually('it was told', async () => changed.length > 0)
  expect(changed).toEqual([rows[0].id])
  await wakeUps.close()
  await client.end()
  await drop()
})

test('PostgreSQL that does not answer is known within a second, and what it told meanwhile is heard when it does', async () => {
  const { config, drop } = await createDatabase({ empty: true })
  const proxy = await startTcpProxy(config)
  const client = new pg.Client({ ...config, ssl: false })
  await client.connect()
  const heard = { connections: 0, silences: 0, seqs: [] as number[] }
  const wakeUps = openPostgresWakeUps(
    { ...config, host: '127.0.0.1', port: proxy.port },
    {
      woken: (seq) => heard.seqs.push(seq),
      connected: () => heard.connections++,
      silent: () => heard.silences++,
      failed: (error) => expect.fail(String(error)),
      userChanged: () => {},
      ticketUsed: () => {},
    },
  )
  await eventually('it listens', async () => wakeUps.connected)
  proxy.stall()
  await client.query(`select pg_notify('ism_log', '7')`)
  await eventually('it is known', async () => !wakeUps.connected && heard.silences === 1, KNOWN_MS)
  expect(heard.seqs).toEqual([])
  proxy.flow()
  await eventually('it is well again', async () => wakeUps.connected, KNOWN_MS)
  expect(heard).toEqual({ connections: 1, silences: 1, seqs: [7] })
  await wakeUps.close()
  await client.end()
  await proxy.close()
  await drop()
})
