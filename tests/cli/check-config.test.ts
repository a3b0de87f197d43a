/** `ism check-config`: every problem in one run, in words and in JSON, and never a secret. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { directoryWith, ism } from '../support/command-line.ts'

const GOOD = `
[user_db_config]
db_host = "127.0.0.1"
db_port = 1
db_user = "ism"
db_password = "SECRET-1"
db_name = "ism"
[token_issuer]
issuer = "ISSUER"
[objects]
directory = "pictures"
`

const production = (text: string) => directoryWith({ 'production.config.toml': text })

describe('a configuration in order', () => {
  test('is exit code 0 and says so', async () => {
    const cwd = await production(GOOD.replace('ISSUER', 'https://idp.example'))
    expect(await ism(['check-config'], { cwd })).toEqual({
      code: 0,
      stdout: 'production.config.toml is in order\n',
      stderr: '',
    })
  })

  test('with a warning stays in order', async () => {
    const cwd = await production(`push_notification_access_token = "SECRET-2"\n${GOOD.replace('ISSUER', 'http://i')}`)
    const { code, stdout } = await ism(['check-config'], { cwd })
    expect(code).toBe(0)
    expect(stdout).toMatch(/^warning: push_notification_access_token: is not used/)
    expect(stdout).not.toContain('SECRET')
  })
})

/** Each kind of problem once, with something secret in each place that can hold or be mistaken for a secret. */
const BAD = `
ism_port = "SECRET-a"
log_level = "SECRET-b"
cors_origin = "SECRET-c"
ism_url = "https://me:SECRET-d@example.com"
redis_cache_url = "http://:SECRET-e@localhost"
push_notification_url = "https://me:SECRET-f@push.example"
push_notification_access_token = "SECRET g"
use_kafka = true
pasword = "SECRET-h"
[user_db_config]
db_host = "postgres://ism:SECRET-i@localhost/ism"
db_port = "SECRET-j"
db_password = ["SECRET-k"]
db_pasword = "SECRET-l"
ssl = "SECRET-m"
ssl_ca = "/absent/SECRET-n"
[token_issuer]
issuer = "https://me:SECRET-o@idp.example"
algorithms = ["SECRET-p", "HS256"]
[object_db_config]
db_password = "SECRET-q"
secret_key = "SECRET-r"
[message_db_config]
db_url = "me:SECRET-s@localhost"
[metrics]
token = "SECRET t"
[SECTION]
x = "SECRET-u"
`

describe('problems', () => {
  const env = { ISM_LIMITS__SEND_BURST: 'SECRET-v', ISM_TOKEN_ISSUER__AUDIENCE_FILE: 'SECRET-w', ISM_A__B: 'SECRET-x' }

  test('all come in one run, each with its key; none shows a secret', async () => {
    const cwd = await production(BAD)
    const { code, stdout, stderr } = await ism(['check-config'], { cwd, env })
    expect(code).toBe(1)
    const keys = stdout.split('\n').map((line) => /^problem: ([\w.]+): .+; expected .+$/.exec(line)?.[1])
    for (const key of [
      'ism_port',
      'log_level',
      'cors_origin',
      'ism_url',
      'redis_cache_url',
      'push_notification_url',
      'push_notification_access_token',
      'use_kafka',
      'pasword',
      'user_db_config.db_host',
      'user_db_config.db_port',
      'user_db_config.db_password',
      'user_db_config.db_pasword',
      'user_db_config.db_user',
      'user_db_config.ssl',
      'user_db_config.ssl_ca',
      'token_issuer.issuer',
      'token_issuer.algorithms',
      'token_issuer.audience',
      'object_db_config.secret_key',
      'message_db_config.db_url',
      'message_db_config.db_keyspace',
      'metrics.token',
      'limits.send_burst',
      'SECTION',
      'ISM_A__B',
    ]) {
      expect(keys).toContain(key)
    }
    expect(stdout + stderr).not.toContain('SECRET')
    expect(stderr).toMatch(/^ism: \d+ problems in production.config.toml and the environment\n$/)
  })

  test('neither do JSON and --debug', async () => {
    const cwd = await production(BAD)
    const { code, stdout, stderr } = await ism(['check-config', '--json', '--connect', '--debug'], { cwd, env })
    expect(code).toBe(1)
    const report = JSON.parse(stdout)
    expect(report).toEqual({ ok: false, problems: expect.any(Array), warnings: expect.any(Array), checks: [] })
    expect(report.problems).toContainEqual({
      key: 'user_db_config.db_user',
      source: 'production.config.toml',
      problem: 'is missing',
      expected: 'a role of the database',
    })
    expect(stdout + stderr).not.toContain('SECRET')
  })

  test('serve and migrate refuse them in the same words, a line each, without a stack', async () => {
    const cwd = await production('ism_port = "x"\n[token_issuer]\nissuer = "https://idp.example"\n')
    for (const command of ['serve', 'migrate']) {
      expect(await ism([command], { cwd })).toEqual({
        code: 1,
        stdout: '',
        stderr:
          'ism: ism_port: is no whole number (production.config.toml); expected a whole number from 0 to 65535\n' +
          'ism: user_db_config: is missing (production.config.toml, environment); expected [user_db_config] with db_host, db_user, db_password, db_name\n',
      })
    }
  })

  test('a stack comes with --debug only', async () => {
    const { stderr } = await ism(['migrate', '--debug'], { cwd: await directoryWith() })
    expect(stderr).toMatch(/\n {4}at /)
  })

  test('a file that is not there is named, and who makes one', async () => {
    const { code, stdout } = await ism(['check-config', '--config', 'absent.toml'], { cwd: await directoryWith() })
    expect(code).toBe(1)
    expect(stdout).toMatch(/absent\.toml: is missing \(\/.*\/absent\.toml\).*ism init/)
  })
})

describe('--connect', () => {
  test('tries each store and the issuer: a line each, with the time that it took', async () => {
    const cwd = await production(GOOD.replace('ISSUER', await startIssuer()))
    const { code, stdout, stderr } = await ism(['check-config', '--connect'], { cwd })
    expect(stdout).toMatch(/^failed {2}PostgreSQL +\d+ ms {2}.*ECONNREFUSED/m)
    expect(stdout).toMatch(/^ok {6}object directory +\d+ ms {2}.*pictures will be made$/m)
    expect(stdout).toMatch(/^ok {6}token issuer +\d+ ms {2}http.* has 1 key$/m)
    expect(stdout + stderr).not.toContain('SECRET')
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'ism: 1 of 3 connections failed\n' })
  })

  test('in JSON', async () => {
    const cwd = await production(GOOD.replace('ISSUER', 'http://127.0.0.1:1'))
    const { code, stdout } = await ism(['check-config', '--connect', '--json'], { cwd })
    expect(code).toBe(1)
    const check = (name: string, ok: boolean) => ({
      name,
      ok,
      milliseconds: expect.any(Number),
      detail: expect.any(String),
    })
    expect(JSON.parse(stdout)).toEqual({
      ok: false,
      problems: [],
      warnings: [],
      checks: [check('PostgreSQL', false), check('object directory', true), check('token issuer', false)],
    })
  })

  test('finds out a directory that is a file', async () => {
    const cwd = await directoryWith({
      'production.config.toml': GOOD.replace('ISSUER', 'http://127.0.0.1:1'),
      pictures: '',
    })
    const { stdout } = await ism(['check-config', '--connect'], { cwd })
    expect(stdout).toMatch(/^failed {2}object directory .* is no directory$/m)
  })
})

async function startIssuer(): Promise<string> {
  const server = createServer((req, res) => {
    const isKeys = req.url === '/keys'
    res.setHeader('content-type', 'application/json')
    res.end(JSON.stringify(isKeys ? { keys: [{ kty: 'RSA' }] } : { issuer, jwks_uri: `${issuer}/keys` }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return issuer
}
