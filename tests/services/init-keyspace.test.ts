/** `ism init-keyspace`, `ism check-config --connect` and TLS against a real cluster. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { type AddressInfo, connect as connectTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer, type Server } from 'node:tls'
import type cassandra from 'cassandra-driver'
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import type { CassandraConfig } from '../../src/config/config.ts'
import { keyspaceStatus } from '../../src/infra/cassandra-schema.ts'
import { directoryWith, ism } from '../support/command-line.ts'
import { cassandraConfig, connectClient, dropKeyspace } from '../support/keyspace.ts'
import { describeWith } from '../support/services.ts'

describeWith(['ISM_TEST_CASSANDRA'], 'a cluster', ({ ISM_TEST_CASSANDRA: address }) => {
  let client: cassandra.Client
  const keyspaces: string[] = []

  beforeAll(async () => {
    client = await connectClient(address)
  })
  afterAll(async () => {
    for (const keyspace of keyspaces) await dropKeyspace(client, keyspace)
    await client.shutdown()
  })

  function newKeyspace(): string {
    const { keyspace } = cassandraConfig(address)
    keyspaces.push(keyspace)
    return keyspace
  }

  const configured = (keyspace: string, more = '') =>
    directoryWith({
      'production.config.toml': `
[user_db_config]
db_host = "127.0.0.1"
db_port = 1
db_user = "ism"
db_password = "ism"
db_name = "ism"
[message_db_config]
db_url = "${address}"
db_keyspace = "${keyspace}"
${more}
[token_issuer]
issuer = "http://127.0.0.1:1"
`,
    })

  async function tablesOf(keyspace: string): Promise<string[]> {
    const { rows } = await client.execute('select table_name from system_schema.tables where keyspace_name = ?', [
      keyspace,
    ])
    return rows.map((row) => row['table_name']).sort()
  }

  const TABLES = ['ism_migration', 'message', 'room_bucket']

  test('makes the keyspace and its tables, and then has nothing to do', async () => {
    const keyspace = newKeyspace()
    const cwd = await configured(keyspace)
    expect(await ism(['init-keyspace'], { cwd })).toEqual({
      code: 0,
      stdout: '1 migration applied\n',
      stderr: `keyspace ${keyspace} made\napplied 0001_messages\n`,
    })
    expect(await tablesOf(keyspace)).toEqual(TABLES)
    expect(await ism(['init-keyspace'], { cwd })).toEqual({ code: 0, stdout: 'nothing to do\n', stderr: '' })
  })

  test('three at once do no harm', async () => {
    const keyspace = newKeyspace()
    const cwd = await configured(keyspace)
    const outcomes = await Promise.all([1, 2, 3].map(() => ism(['init-keyspace'], { cwd })))
    expect(outcomes.map(({ code, stderr }) => [code, stderr.includes('ism:')])).toEqual([
      [0, false],
      [0, false],
      [0, false],
    ])
    expect(await tablesOf(keyspace)).toEqual(TABLES)
    await client.execute(`insert into "${keyspace}".room_bucket (room_id, bucket) values (uuid(), 1)`)
  })

  test('stands beside the table of ISM 0.7.9, whose keyspace keeps its replication', async () => {
    const keyspace = newKeyspace()
    await client.execute(
      `create keyspace "${keyspace}" with replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`,
    )
    await client.execute(`create table "${keyspace}".chat_messages (chat_room_id uuid primary key)`)
    const cwd = await configured(keyspace)
    const { code, stderr } = await ism(['init-keyspace', '--replication', '2'], { cwd })
    expect([code, stderr]).toEqual([0, expect.stringContaining('its replication stays as it is')])
    expect(await tablesOf(keyspace)).toEqual(['chat_messages', ...TABLES].sort())
    const status = await keyspaceStatus(cassandraConfig(address, { keyspace }))
    expect(status.replication?.['class']).toContain('SimpleStrategy')
  })

  test('--replication is that of a new keyspace', async () => {
    const keyspace = newKeyspace()
    const cwd = await configured(keyspace, 'replication = 3')
    const { datacenter } = await keyspaceStatus(cassandraConfig(address, { keyspace }))
    const dryRun = await ism(['init-keyspace', '--dry-run', '--replication', `${datacenter}:2`], { cwd })
    expect(dryRun.stdout).toContain(`'${datacenter}': 2}`)
    expect((await ism(['init-keyspace', '--dry-run'], { cwd })).stdout).toContain(`'${datacenter}': 3}`)
    expect(await tablesOf(keyspace)).toEqual([])
    expect((await ism(['init-keyspace', '--replication', '1'], { cwd })).code).toBe(0)
    const status = await keyspaceStatus(cassandraConfig(address, { keyspace }))
    expect(status.replication?.[datacenter]).toBe('1')
  })

  test('--dry-run prints CQL that makes all of it when it is run', async () => {
    const keyspace = newKeyspace()
    const { stdout } = await ism(['init-keyspace', '--dry-run'], { cwd: await configured(keyspace) })
    const statements = stdout
      .replace(/^--.*$/gm, '')
      .split(';')
      .map((text) => text.trim())
    for (const statement of statements.filter((text) => text !== '')) await client.execute(statement)
    expect(await tablesOf(keyspace)).toEqual(TABLES.slice(1))
  })

  test('status says how far it is, in words and in JSON', async () => {
    const keyspace = newKeyspace()
    const cwd = await configured(keyspace)
    const status = async () => (await ism(['init-keyspace', 'status'], { cwd })).stdout
    expect(await status()).toBe(`there is no keyspace ${keyspace}: run ism init-keyspace\n`)
    await ism(['init-keyspace'], { cwd })
    expect(await status()).toContain(`keyspace ${keyspace} is up to date`)
    await client.execute(`insert into "${keyspace}".ism_migration (name) values ('0099_future')`)
    expect(await status()).toContain('is newer than this version of ISM')
    const { stdout } = await ism(['init-keyspace', 'status', '--json'], { cwd })
    expect(JSON.parse(stdout)).toMatchObject({
      keyspace,
      applied: ['0001_messages', '0099_future'],
      pending: [],
      unknown: ['0099_future'],
    })
  })

  describe('check-config --connect', () => {
    const cassandraLine = async (keyspace: string, more = '') => {
      const { stdout } = await ism(['check-config', '--connect'], { cwd: await configured(keyspace, more) })
      return stdout.split('\n').find((line) => line.includes(' Cassandra '))
    }

    it('says that the keyspace is there, missing, or will be made', async () => {
      const keyspace = newKeyspace()
      expect(await cassandraLine(keyspace)).toMatch(/^failed .* there is no keyspace .*: run "ism init-keyspace"$/)
      expect(await cassandraLine(keyspace, 'with_db_init = true')).toMatch(/^ok .* will be made/)
      await ism(['init-keyspace'], { cwd: await configured(keyspace) })
      expect(await cassandraLine(keyspace)).toMatch(/^ok .*(?:Cassandra|ScyllaDB) \d.* is up to date$/)
    })

    it('names the datacenters that there are', async () => {
      expect(await cassandraLine(newKeyspace(), 'local_datacenter = "nowhere"')).toMatch(
        /^failed .* there is no datacenter nowhere; local_datacenter may be \w+/,
      )
    })

    it('says why no node answers', async () => {
      const line = await cassandraLine(newKeyspace(), 'tls = "require"')
      expect(line).toMatch(/^failed /)
      expect(line).not.toContain('See innerErrors')
    })
  })

  describe('TLS', () => {
    let directory: string
    let server: Server
    let tlsAddress: string
    const pem = (name: string) => readFileSync(join(directory, name), 'utf8')

    beforeAll(async () => {
      directory = mkdtempSync(join(tmpdir(), 'ism-tls-'))
      const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' })
      const certificate = (name: string, ...more: string[]) => {
        const subject = ['-subj', `/CN=${name}`, '-days', '2', '-nodes', '-newkey', 'rsa:2048']
        openssl('req', '-x509', ...subject, '-keyout', `${name}.key`, '-out', `${name}.pem`, ...more)
      }
      certificate('node', '-addext', 'subjectAltName=IP:127.0.0.1')
      certificate('client')
      certificate('stranger')
      const [host, port] = address.split(':')
      // Cassandra itself speaks no TLS here: a terminator before it does, which asks for a certificate.
      server = createTlsServer(
        {
          key: pem('node.key'),
          cert: pem('node.pem'),
          ca: pem('client.pem'),
          requestCert: true,
          rejectUnauthorized: true,
        },
        (socket) => {
          const upstream = connectTcp(Number(port), host)
          for (const each of [socket, upstream]) each.on('error', () => {})
          socket.pipe(upstream).pipe(socket)
        },
      )
      server.on('tlsClientError', () => {})
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      tlsAddress = `127.0.0.1:${(server.address() as AddressInfo).port}`
    })
    afterAll(async () => {
      server.close()
      await rm(directory, { recursive: true })
    })

    const status = (tls: Partial<CassandraConfig['tls']>) =>
      keyspaceStatus(
        cassandraConfig(tlsAddress, {
          tls: { mode: 'verify', ca: pem('node.pem'), cert: pem('client.pem'), key: pem('client.key'), ...tls },
        }),
      )

    it('verifies the node and shows the certificate', async () => {
      expect((await status({})).version).toMatch(/\d/)
      expect((await status({ mode: 'require', ca: undefined })).version).toMatch(/\d/)
    })

    it('refuses a node that another authority vouches for', async () => {
      await expect(status({ ca: pem('stranger.pem') })).rejects.toThrow(/certificate/)
      await expect(status({ ca: undefined })).rejects.toThrow(/certificate/)
    })

    it('is refused without a certificate, or with a wrong one', async () => {
      await expect(status({ cert: undefined, key: undefined })).rejects.toThrow()
      await expect(status({ cert: pem('stranger.pem'), key: pem('stranger.key') })).rejects.toThrow()
    })
  })
})
