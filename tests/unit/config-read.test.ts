/** Where values come from: files over one another, environment variables, files that variables name. */
import { describe, expect, test } from 'vitest'
import { formatProblem } from '../../src/config/problem.ts'
import { type ReadOptions, readConfiguration } from '../../src/config/read.ts'
import { directoryWith } from '../support/command-line.ts'

const WHOLE = `
[user_db_config]
db_host = "localhost"
db_user = "ism"
db_password = "from the file"
db_name = "ism"
[token_issuer]
issuer = "https://idp.example"
`

async function read(files: Record<string, string>, options: Partial<ReadOptions> = {}) {
  const cwd = await directoryWith(files)
  const { config, problems, warnings } = readConfiguration({ env: {}, cwd, ...options })
  return { config, problems: problems.map(formatProblem), warnings: warnings.map(formatProblem), cwd }
}

const production = (above: string) => ({ 'production.config.toml': `${above}\n${WHOLE}` })
const portOf = async (files: Record<string, string>, options?: Partial<ReadOptions>) => {
  const { config, problems } = await read(files, options)
  expect(problems).toEqual([])
  return config?.server.port
}

describe('files', () => {
  const base = { 'default.config.toml': 'ism_port = 1000' }

  test('default < mode < environment < options', async () => {
    const whole = production('')
    const options = { source: '--port', tables: { ism_port: 4000 } }
    expect(await portOf(whole)).toBe(5403)
    expect(await portOf({ ...base, ...whole })).toBe(1000)
    expect(await portOf({ ...base, ...production('ism_port = 2000') })).toBe(2000)
    expect(await portOf({ ...base, ...production('ism_port = 2000') }, { env: { ISM_PORT: '3000' } })).toBe(3000)
    expect(await portOf({ ...base, ...whole }, { env: { ISM_PORT: '3000' }, options })).toBe(4000)
  })

  test('ISM_MODE chooses another file, and an empty one none', async () => {
    const files = { ...production('ism_port = 1'), 'staging.config.toml': `ism_port = 2\n${WHOLE}` }
    expect(await portOf(files, { env: { ISM_MODE: 'staging' } })).toBe(2)
    expect(await portOf(files, { env: { ISM_MODE: '' } })).toBe(1)
  })

  test('ISM_MODE is a name, not a path', async () => {
    const { problems } = await read(production(''), { env: { ISM_MODE: '../etc/production' } })
    expect(problems).toEqual(['ISM_MODE: is no mode; expected letters, digits and dashes'])
  })

  test('a named file has its own default beside it', async () => {
    const files = { 'etc/default.config.toml': 'ism_port = 7', 'etc/mine.toml': WHOLE, ...base }
    expect(await portOf(files, { file: 'etc/mine.toml' })).toBe(7)
  })

  test('the default file may itself be the chosen one', async () => {
    expect(await portOf({ 'default.config.toml': `ism_port = 8\n${WHOLE}` }, { env: { ISM_MODE: 'default' } })).toBe(8)
  })

  test('a byte order mark is no part of the text', async () => {
    expect(await portOf({ 'production.config.toml': `\uFEFFism_port = 9\n${WHOLE}` })).toBe(9)
  })

  test('a missing one is named, with what makes one; what its absence leaves open is no problem of its own', async () => {
    const { config, problems, cwd } = await read({}, { env: { ISM_PORT: 'x' } })
    expect(config).toBeUndefined()
    expect(problems).toEqual([
      `production.config.toml: is missing (${cwd}/production.config.toml); expected a configuration file there (\`ism init\` makes one), or --config FILE`,
      'ism_port: is no whole number (ISM_PORT); expected a whole number from 0 to 65535',
    ])
  })

  test('what is no TOML is named by line and column; its lines are never quoted', async () => {
    const { problems } = await read({
      'production.config.toml': '[user_db_config]\ndb_password = "secret-1"\ndb_name = secret-2\n',
    })
    expect(problems).toEqual([
      'production.config.toml: is no TOML: Unexpected character, expecting string, number, datetime, boolean, ' +
        'inline array or inline table (production.config.toml, line 3, column 11); expected TOML 0.5',
    ])
  })
})

describe('environment variables', () => {
  test('name a key or a section and a key', async () => {
    const env = {
      ISM_URL: '0.0.0.0',
      ISM_PORT: '1234',
      ISM_LOG_LEVEL: 'debug',
      ISM_CORS_ORIGIN: 'https://a.example,https://b.example',
      ISM_USER_DB_CONFIG__DB_HOST: 'db.example',
      ISM_LIMITS__SENDS_PER_SECOND: '0',
    }
    const { config, problems } = await read(production('ism_port = 1'), { env })
    expect(problems).toEqual([])
    expect(config?.server).toEqual({
      host: '0.0.0.0',
      port: 1234,
      logLevel: 'debug',
      corsOrigins: ['https://a.example', 'https://b.example'],
    })
    expect(config?.postgres.host).toBe('db.example')
    expect(config?.limits.sendsPerSecond).toBe(0)
  })

  test('ISM_ISM_PORT is ISM_PORT, and both are one too many', async () => {
    expect(await portOf(production(''), { env: { ISM_ISM_PORT: '2' } })).toBe(2)
    const { problems } = await read(production(''), { env: { ISM_PORT: '1', ISM_ISM_PORT: '2' } })
    expect(problems).toEqual(['ism_port: is also set by ISM_PORT (ISM_ISM_PORT); expected only one of them'])
  })

  test('an empty one counts as not set', async () => {
    expect(await portOf(production('ism_port = 3'), { env: { ISM_PORT: '', ISM_PORT_FILE: '' } })).toBe(3)
  })

  test('those of others are left alone', async () => {
    const env = {
      ISM_MODE: 'production',
      ISM_TEST_X: '1',
      ISM_SERVICES_Y__Z: '1',
      ISM_SERVICE_HOST: '10.0.0.1',
      ISM_PORT_5403_TCP_ADDR: '10.0.0.1',
      ISMAEL: '1',
    }
    const { config, problems, warnings } = await read(production(''), { env })
    expect({ problems, warnings }).toEqual({ problems: [], warnings: [] })
    expect(config).toBeDefined()
  })

  test("Kubernetes' link to a service named ism is no port", async () => {
    const { config, warnings } = await read(production(''), { env: { ISM_PORT: 'tcp://10.0.0.1:5403' } })
    expect(config?.server.port).toBe(5403)
    expect(warnings).toEqual([expect.stringContaining('ignored (ISM_PORT)')])
  })

  test('an unknown one that must be meant for ISM is a problem, any other a warning', async () => {
    const { problems, warnings } = await read(production(''), {
      env: { ISM_USER_DB_CONFIG__SLL: 'verify', ISM_LOGLEVEL: 'debug', ISM_HOMEPAGE_OF_SOMEBODY: 'x', ISM_A__B: 'x' },
    })
    expect(problems.map((problem) => problem.split(';')[0])).toEqual([
      'ISM_USER_DB_CONFIG__SLL: is no known variable (did you mean ISM_USER_DB_CONFIG__SSL?)',
      'ISM_LOGLEVEL: is no known variable (did you mean ISM_LOG_LEVEL?)',
      'ISM_A__B: is no known variable',
    ])
    expect(warnings).toEqual([expect.stringContaining('ISM_HOMEPAGE_OF_SOMEBODY: is no known variable')])
  })
})

describe('…_FILE', () => {
  const variable = 'ISM_USER_DB_CONFIG__DB_PASSWORD'
  const passwordOf = async (content: string) => {
    const env = { [`${variable}_FILE`]: 'run/password' }
    const { config, problems } = await read({ ...production(''), 'run/password': content }, { env })
    expect(problems).toEqual([])
    return config?.postgres.password
  }

  test('reads the value from a file, without its one final line break', async () => {
    expect(await passwordOf('p@ss word\n')).toBe('p@ss word')
    expect(await passwordOf('p@ss\r\n')).toBe('p@ss')
    expect(await passwordOf(' p@ss ')).toBe(' p@ss ')
  })

  test('beside its variable is one too many', async () => {
    const env = { [variable]: 'a-secret', [`${variable}_FILE`]: 'production.config.toml' }
    const { problems } = await read(production(''), { env })
    expect(problems).toEqual([
      `user_db_config.db_password: is also set by ${variable} (${variable}_FILE); expected only one of them`,
    ])
  })

  test('unreadable: the problem does not repeat what may have been the secret itself', async () => {
    const { problems } = await read(production(''), { env: { [`${variable}_FILE`]: 'the-secret-itself' } })
    expect(problems).toEqual([
      `user_db_config.db_password: cannot be read from the file that is named (ENOENT) (${variable}_FILE); expected the path of a readable file`,
    ])
  })
})
