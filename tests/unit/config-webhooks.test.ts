/** `[[webhooks]]` of the configuration: what is accepted, what is refused, and that no secret is ever quoted. */
import { describe, expect, test } from 'vitest'
import { readEnvironment } from '../../src/config/environment.ts'
import { judge } from '../../src/config/judge.ts'
import { parseToml } from '../../src/config/toml.ts'

const BASE = {
  user_db_config: { db_host: 'localhost', db_user: 'ism', db_password: 'secret', db_name: 'ism' },
  token_issuer: { issuer: 'https://idp.example' },
}
const [SECRET, OTHER] = ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA']
const GOOD = { url: 'https://backend.example/hook?key=HIDDEN', secret: SECRET, events: ['ChatMessage'] }

const judged = (webhooks: unknown) => judge([{ source: 'a.toml', tables: { ...BASE, webhooks } }], { directory: '/' })
const problemsOf = (webhooks: unknown) => {
  const { config, problems } = judged(webhooks)
  expect(config).toBeUndefined()
  expect(JSON.stringify(problems)).not.toMatch(/MfKQ9r8G|HIDDEN|backend\.example/)
  return problems.map(({ key, problem }) => `${key}: ${problem}`)
}
const accepted = (webhooks: unknown) => {
  const { config, problems, warnings } = judged(webhooks)
  expect(problems).toEqual([])
  return { webhooks: config?.webhooks, warnings: warnings.map(({ key, problem }) => `${key}: ${problem}`) }
}

test('none unless configured', () => {
  expect(judge([{ source: 'a.toml', tables: BASE }], { directory: '/' }).config?.webhooks).toEqual([])
  expect(accepted([]).webhooks).toEqual([])
})

test('is called by its URL unless it has a name, without what may be secret in it', () => {
  const urls = ['https://a.example', 'https://a.example/', 'https://a.example/one?key=x', 'https://a.example/two']
  const names = urls.map((url) => accepted([{ ...GOOD, url }]).webhooks?.[0]?.name)
  expect(names.slice(0, 2)).toEqual(['a.example', 'a.example'])
  expect(names[2]).toMatch(/^a\.example-[0-9a-f]{8}$/)
  expect(new Set(names).size).toBe(3)
})

test('a table for each, with the defaults', () => {
  const text = `
    [[webhooks]]
    url = "https://backend.example:8443/hook"
    secret = "${SECRET}"
    events = ["ChatMessage", "NewRoom", "ChatMessage"]
    [[webhooks]]
    name = "audit"
    url = "http://10.0.0.7/"
    secret = ["${SECRET}", "${OTHER}"]
    events = "SystemMessage"
    allow_private = true
    timeout = 5
  `
  expect(accepted(parseToml(text)['webhooks'])).toEqual({
    webhooks: [
      {
        name: 'backend.example:8443-6fc2d051',
        url: 'https://backend.example:8443/hook',
        secrets: [SECRET],
        events: ['ChatMessage', 'NewRoom'],
        allowPrivate: false,
        timeoutMs: 15_000,
      },
      {
        name: 'audit',
        url: 'http://10.0.0.7/',
        secrets: [SECRET, OTHER],
        events: ['SystemMessage'],
        allowPrivate: true,
        timeoutMs: 5_000,
      },
    ],
    warnings: [],
  })
})

test('a later layer replaces them all', () => {
  const layers = [
    { source: 'default.toml', tables: { ...BASE, webhooks: [GOOD, { ...GOOD, url: 'https://two.example' }] } },
    { source: 'a.toml', tables: { webhooks: [{ ...GOOD, name: 'mine' }] } },
  ]
  expect(judge(layers, { directory: '/' }).config?.webhooks.map(({ name }) => name)).toEqual(['mine'])
})

describe('in the environment', () => {
  const read = (value: string, file?: string) => {
    const env = file === undefined ? { ISM_WEBHOOKS: value } : { ISM_WEBHOOKS_FILE: file }
    const { layer, problems } = readEnvironment(env, import.meta.dirname)
    return { ...judge([{ source: 'a.toml', tables: BASE }, layer], { directory: '/' }), environment: problems }
  }

  test('a list of objects in JSON', () => {
    expect(read(JSON.stringify([GOOD])).config?.webhooks).toMatchObject([
      { name: 'backend.example-2c17f8cb', url: GOOD.url },
    ])
  })

  test('what is no JSON is refused without being quoted', () => {
    expect(read(`[{"secret":"${SECRET}"`).environment).toEqual([
      { key: 'webhooks', source: 'ISM_WEBHOOKS', problem: 'is no JSON', expected: 'a list of objects in JSON' },
    ])
    expect(read('', 'config-webhooks.test.ts').environment).toMatchObject([{ problem: 'is no JSON' }])
    expect(read('', 'absent').environment).toMatchObject([{ problem: expect.stringMatching(/ENOENT/) }])
  })

  test.each(['{}', '7', '[7]', '"x"', 'null', '[[]]'])('%s is no list of tables', (value) => {
    expect(read(value).problems).toMatchObject([
      { key: 'webhooks', source: 'ISM_WEBHOOKS', problem: 'is no list of tables' },
    ])
  })

  test('problems name the variable', () => {
    expect(read(JSON.stringify([{ ...GOOD, secret: '' }])).problems).toMatchObject([
      { key: 'webhooks[1].secret', source: 'ISM_WEBHOOKS' },
    ])
  })
})

describe('is refused', () => {
  test.each<[string, unknown, string[]]>([
    ['a single table', GOOD, ['webhooks: is no list of tables']],
    ['an empty table', [{}], ['url', 'secret', 'events'].map((key) => `webhooks[1].${key}: is missing`)],
    ['an unknown key', [{ ...GOOD, event: [] }], ['webhooks[1].event: is no known key (did you mean events?)']],
    [
      'an unknown kind',
      [{ ...GOOD, events: ['NewRoom', 'ChatMesage'] }],
      ['webhooks[1].events: item 2 is none of the possible values (did you mean "ChatMessage"?)'],
    ],
    [
      'the internal kind',
      [{ ...GOOD, events: ['RoomDeleted'] }],
      [expect.stringMatching(/^webhooks\[1\]\.events: item 1/)],
    ],
    ['no kind', [{ ...GOOD, events: [] }], ['webhooks[1].events: is empty']],
    ['kinds that are no list', [{ ...GOOD, events: true }], ['webhooks[1].events: is true or false, not a list']],
    ['no secret', [{ ...GOOD, secret: [] }], ['webhooks[1].secret: is empty']],
    ['a short secret', [{ ...GOOD, secret: 'whsec_c2hvcnQ=' }], ['webhooks[1].secret: item 1 has 5 bytes']],
    [
      'another secret',
      [{ ...GOOD, secret: [SECRET, 'HIDDEN'] }],
      ['webhooks[1].secret: item 2 does not begin with "whsec_"'],
    ],
    ['no URL', [{ ...GOOD, url: 'HIDDEN' }], ['webhooks[1].url: is no URL']],
    [
      'another scheme',
      [{ ...GOOD, url: 'ftp://HIDDEN/' }],
      ['webhooks[1].url: is no URL that begins with https:// or http://'],
    ],
    [
      'credentials',
      [{ ...GOOD, url: 'https://me:HIDDEN@backend.example/' }],
      ['webhooks[1].url: carries a user name or a password'],
    ],
    ['a name with blanks', [{ ...GOOD, name: 'a b' }], ['webhooks[1].name: has a character that is not allowed']],
    ['a time-out of nothing', [{ ...GOOD, timeout: 0 }], ['webhooks[1].timeout: is out of range: 0']],
    [
      'allow_private = "maybe"',
      [{ ...GOOD, allow_private: 'maybe' }],
      ['webhooks[1].allow_private: is neither true nor false'],
    ],
    [
      'the same URL twice',
      [GOOD, { ...GOOD, name: 'other', url: 'HTTPS://BACKEND.example:443/hook?key=HIDDEN' }],
      ['webhooks[2].url: is also that of webhooks[1]'],
    ],
    [
      'the same name twice',
      [
        { ...GOOD, name: 'one' },
        { ...GOOD, name: 'one', url: 'https://two.example' },
      ],
      ['webhooks[2].name: is also that of webhooks[1]'],
    ],
    [
      'problems of each',
      [
        { ...GOOD, events: [] },
        { ...GOOD, url: 'https://two.example', secret: 'x' },
      ],
      ['webhooks[1].events: is empty', 'webhooks[2].secret: item 1 does not begin with "whsec_"'],
    ],
  ])('%s', (_, webhooks, problems) => {
    expect(problemsOf(webhooks)).toEqual(problems)
  })

  test.each([
    'http://127.0.0.1/',
    'http://2130706433/',
    'https://[::1]/',
    'http://localhost:80/',
    'https://192.168.1.1/',
  ])('%s without allow_private', (url) => {
    expect(problemsOf([{ ...GOOD, url }])).toEqual(['webhooks[1].url: names an address that is not public'])
    expect(accepted([{ ...GOOD, url, allow_private: true }]).warnings).toEqual([])
  })
})

test('without encryption to a public address is warned of', () => {
  const { warnings } = accepted([{ ...GOOD, url: 'http://backend.example' }])
  expect(warnings).toEqual([expect.stringMatching(/^webhooks\[1\]\.url: is not encrypted/)])
})

test('a misspelt name of the list is refused', () => {
  const { problems } = judge([{ source: 'a.toml', tables: { ...BASE, webhook: [GOOD] } }], { directory: '/' })
  expect(problems).toMatchObject([{ key: 'webhook' }])
})
