/**
 * Wake-ups over a real Redis: the contract, its shared use, its outages, and what an operator sees of it.
 * `ISM_TEST_CUT_SECONDS=60` cuts two nodes off from it for a minute.
 */
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { createClient } from 'redis'
import { expect, test } from 'vitest'
import { openRedisWakeUps } from '../../src/log/wake-ups-redis.ts'
import { describeWakeUps, type WakeUpServer } from '../contract/wake-ups.contract.ts'
import { directoryWith, ism as run } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { startIsm, type TestIsm } from '../support/ism.ts'

import { describeWith } from '../support/services.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'
import { startIsmProcess } from '../support/test-process.ts'

/** Who is not woken looks each quarter of a second: who is heard of sooner than this, as a rule, was woken. */
const POLLED_MS = 60
const CUT_MS = Number(process.env['ISM_TEST_CUT_SECONDS'] ?? 0) * 1_000

describeWith(['ISM_TEST_REDIS_URL'], 'Redis', ({ ISM_TEST_REDIS_URL }) => {
  const direct = new URL(ISM_TEST_REDIS_URL)

  const startProxy = () => startTcpProxy({ host: direct.hostname, port: Number(direct.port || 6379) })

  function through({ port }: TcpProxy): string {
    const url = new URL(direct)
    url.hostname = '127.0.0.1'
    url.port = String(port)
    return url.href
  }

  async function start(): Promise<WakeUpServer> {
    const epoch = randomUUID()
    const proxy = await startProxy()
    const silent = { woken() {}, connected() {}, failed() {} }
    const appender = openRedisWakeUps(direct.href, epoch, silent)
    await eventually('the appender is connected', async () => appender.connected)
    return {
      open: (handlers) => openRedisWakeUps(through(proxy), epoch, handlers),
      openElsewhere: (handlers) => openRedisWakeUps(direct.href, randomUUID(), handlers),
      append: async (seq) => appender.publish(seq),
      cut: proxy.refuse,
      mend: proxy.pass,
      async close() {
        await appender.close()
        await proxy.close()
      },
    }
  }

  describeWakeUps('Redis', start)

  test('a server that hangs is noticed, and left for what comes after it', async () => {
    const proxy = await startProxy()
    let connections = 0
    const wakeUps = openRedisWakeUps(through(proxy), randomUUID(), {
      woken() {},
      connected: () => connections++,
      failed() {},
    })
    await eventually('it connects', async () => connections === 1)
    proxy.stall()
    await eventually('it notices', async () => !wakeUps.connected, 20_000)
    await proxy.pass()
    await eventually('it is back', async () => connections === 2, 15_000)
    await wakeUps.close()
    await proxy.close()
  })

  test('the secret of the url is in no failure', async () => {
    const url = new URL(direct)
    url.username = 'nobody'
    url.password = 'SECRET'
    const failures: Error[] = []
    const wakeUps = openRedisWakeUps(url.href, randomUUID(), {
      woken() {},
      connected() {},
      failed: (error) => failures.push(error),
    })
    await eventually('it fails', async () => failures.length > 0)
    await wakeUps.close()
    expect(failures.map((error) => `${error.stack} ${JSON.stringify(error)}`).join()).not.toContain('SECRET')
  })

  test('who may not subscribe for a while listens once it is allowed', { timeout: 40_000 }, async () => {
    const admin = createClient({ url: direct.href })
    await admin.connect()
    const url = new URL(direct)
    url.username = `ism-${randomUUID()}`
    url.password = randomUUID()
    const change = (...rules: string[]) => admin.sendCommand(['ACL', 'SETUSER', url.username, ...rules])
    const commands = ['subscribe', 'unsubscribe', 'publish', 'ping', 'hello', 'client', 'info']
    await change('on', `>${url.password}`, 'resetchannels', ...commands.map((command) => `+${command}`))
    const failures: Error[] = []
    const wakeUps = openRedisWakeUps(url.href, randomUUID(), {
      woken() {},
      connected() {},
      failed: (error) => failures.push(error),
    })
    try {
      await eventually('it is refused', async () => failures.length > 0)
      await expect(wakeUps.check()).rejects.toThrow('refuses the subscription')
      await change('&ism:*')
      await eventually('it listens', async () => wakeUps.connected, 10_000)
      await change('resetchannels')
      await eventually('it is refused again', async () => !wakeUps.connected, 10_000)
      await change('&ism:*')
      await eventually('it listens again', async () => wakeUps.connected, 10_000)
      await wakeUps.check()
    } finally {
      await wakeUps.close()
      await admin.sendCommand(['ACL', 'DELUSER', url.username])
      admin.destroy()
    }
  })

  /** Behind a transaction pooler nothing but Redis wakes. */
  test('two nodes without LISTEN wake each other, and poll while Redis is cut off', {
    timeout: 60_000 + CUT_MS,
  }, async () => {
    const proxy = await startProxy()
    const ism = await startIsm({ redis: { url: through(proxy) }, postgres: { transactionPooler: true } })
    const other = await ism.anotherNode()
    try {
      const [alice, bob] = await ism.people('alice', 'bob')
      const aliceThere = alice.at(`http://127.0.0.1:${other.address.port}`)
      const roomId = await alice.createRoom([bob])
      const stream = await bob.stream()
      const delays = async () => {
        const measured: number[] = []
        for (let turn = 0; turn < 9; turn++) {
          const { body } = await aliceThere.send(roomId, 'Hello')
          const answered = performance.now()
          await stream.next(({ message }) => message?.messageId === body.messageId)
          measured.push(performance.now() - answered)
        }
        return measured.sort((one, other) => one - other)
      }
      const ready = async (ok: boolean) =>
        eventually(`Redis is ${ok ? 'there' : 'away'}`, async () => {
          const { status, body } = await readiness(ism)
          expect(status).toBe(200)
          return body.stores.find(({ name }) => name === 'redis')?.ok === ok
        })

      await ready(true)
      const isWoken = async () => ((await delays())[4] ?? Number.POSITIVE_INFINITY) < POLLED_MS
      await eventually('it wakes', isWoken, 20_000)
      await proxy.refuse()
      await ready(false)
      const until = performance.now() + CUT_MS
      do {
        const polled = await delays()
        expect(polled[8]).toBeLessThan(4_000)
        expect(polled[4]).toBeGreaterThan(POLLED_MS)
      } while (performance.now() < until)
      await proxy.pass()
      await ready(true)
      await eventually('it wakes again', isWoken, 20_000)
      const texts = stream.ofType('ChatMessage').map(({ seq }) => seq)
      expect(texts).toEqual([...new Set(texts)].sort((one, other) => one - other))
    } finally {
      await other.close()
      await ism.stop()
      await proxy.close()
    }
  })

  test('ISM starts while Redis is down, and finds it later', async () => {
    const proxy = await startProxy()
    await proxy.refuse()
    const ism = await startIsm({ redis: { url: through(proxy) } })
    const redis = async () => (await readiness(ism)).body.stores.find(({ name }) => name === 'redis')
    try {
      expect(await redis()).toMatchObject({ required: false, ok: false })
      await proxy.pass()
      await eventually('Redis is ready', async () => (await redis())?.ok === true)
    } finally {
      await ism.stop()
      await proxy.close()
    }
  })

  test('rediss:// is TLS, and checks whose certificate it is', async () => {
    const cwd = await directoryWith()
    const subject = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=redis']
    const names = ['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', 'redis.key', '-out', 'redis.pem']
    execFileSync('openssl', ['req', ...subject, ...names], { cwd, stdio: 'ignore' })
    const [key, cert] = ['redis.key', 'redis.pem'].map((name) => readFileSync(join(cwd, name)))
    // Redis itself speaks no TLS here: a terminator before it does.
    const server = createTlsServer({ key, cert }, (socket) => {
      const upstream = connect(Number(direct.port || 6379), direct.hostname)
      for (const each of [socket, upstream]) each.on('error', () => {})
      socket.pipe(upstream).pipe(socket)
    })
    server.on('tlsClientError', () => {})
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `rediss://127.0.0.1:${(server.address() as AddressInfo).port}`
    writeFileSync(join(cwd, 'production.config.toml'), configurationWith(url))
    const path = process.env['PATH'] ?? ''
    const [trusting, strange] = await Promise.all(
      [{ NODE_EXTRA_CA_CERTS: join(cwd, 'redis.pem') }, {}].map(async (more) => {
        const check = await startIsmProcess(['check-config', '--connect'], { cwd, env: { PATH: path, ...more } })
        await check.exited
        return check.stdout
      }),
    )
    server.close()
    expect(trusting).toMatch(/^ok {6}Redis +\d+ ms {2}Redis \d+\.\d+/m)
    expect(strange).toMatch(/^failed {2}Redis +\d+ ms {2}.*certificate/m)
  })

  test('check-config --connect tries it, and shows nothing of its url', async () => {
    const check = async (url: string) => {
      const cwd = await directoryWith({ 'production.config.toml': configurationWith(url) })
      const { stdout, stderr } = await run(['check-config', '--connect'], { cwd })
      return stdout + stderr
    }
    expect(await check(direct.href)).toMatch(/^ok {6}Redis +\d+ ms {2}Redis \d+\.\d+/m)
    const wrong = new URL(direct)
    wrong.username = 'nobody'
    wrong.password = 'SECRET'
    const refused = await check(wrong.href)
    expect(refused).toMatch(/^failed {2}Redis +\d+ ms {2}WRONGPASS/m)
    expect(refused).not.toContain('SECRET')
    expect(await check('redis://127.0.0.1:1')).toMatch(/^failed {2}Redis .*ECONNREFUSED/m)
  })
})

/** Nothing else in it answers. */
const configurationWith = (url: string) => `redis_cache_url = "${url}"
[user_db_config]
db_host = "127.0.0.1"
db_port = 1
db_user = "ism"
db_password = ""
db_name = "ism"
[token_issuer]
issuer = "http://127.0.0.1:1"
`

type Readiness = { stores: { name: string; required: boolean; ok: boolean }[] }

async function readiness({ url }: TestIsm): Promise<{ status: number; body: Readiness }> {
  const response = await fetch(`${url}/health/ready`)
  return { status: response.status, body: (await response.json()) as Readiness }
}
