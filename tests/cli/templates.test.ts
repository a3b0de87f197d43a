/** What operators are handed agrees with ISM and with itself: image, compose files, systemd unit, nginx's configuration. */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { readConfiguration } from '../../src/config/read.ts'
import { SCHEMA } from '../../src/config/schema.ts'
import { directoryWith } from '../support/command-line.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const PORT = SCHEMA[''].keys.ism_port.default

const read = (path: string) => readFileSync(`${ROOT}${path}`, 'utf8')
const found = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, group = '']) => group)
/** As compose fills in variables, with this text for those that have no default. */
const filledIn = (text: string, required: string) =>
  text.replaceAll(/\$\{\w+:\?[^}]*\}/g, required).replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1')

describe('the image', () => {
  const dockerfile = read('Dockerfile')

  test('is of a Node that ISM runs on', () => {
    const { engines } = JSON.parse(read('package.json'))
    const numbers = (version: string) => found(version, /(\d+)/g).map(Number)
    const [wanted, given] = [numbers(engines.node), numbers(/^ARG NODE=node:([\d.]+)/m.exec(dockerfile)?.[1] ?? '')]
    expect(given).toHaveLength(3)
    expect(given[0]).toBe(wanted[0])
    expect(given[1]).toBeGreaterThanOrEqual(wanted[1] ?? 0)
  })

  test('copies what is there, and nothing that .dockerignore keeps out', () => {
    const sources = found(dockerfile, /^COPY (?!--from)(.+) \S+$/gm).flatMap((names) => names.split(' '))
    const allowed = found(read('.dockerignore'), /^!(.+)$/gm)
    expect(sources).toContain('src')
    expect([...new Set(sources)].sort()).toEqual([...allowed].sort())
    expect(sources.filter((name) => !existsSync(`${ROOT}${name}`))).toEqual([])
  })

  test('exposes the port that ISM listens on', () => {
    expect(found(dockerfile, /^EXPOSE (.+)$/gm)).toEqual([`${PORT}`])
  })
})

describe('compose.yaml', () => {
  const compose = read('templates/compose.yaml')

  test("gives ISM a configuration that is in order, above the image's own", async () => {
    const cwd = await directoryWith({
      'default.config.toml': `${/printf '(.+)\\n' > \/app\/default/.exec(read('Dockerfile'))?.[1]}`,
      'production.config.toml': read('templates/compose/production.config.toml'),
    })
    const variables = [...filledIn(compose, 'secret').matchAll(/^ {4}(ISM_\w+): (.+)$/gm)]
    const { config, problems, warnings } = readConfiguration({
      cwd,
      env: Object.fromEntries(variables.map(([, name, value]) => [name, value])),
    })
    expect([...problems, ...warnings]).toEqual([])
    expect(config).toMatchObject({
      server: { host: '0.0.0.0', port: PORT },
      postgres: { password: 'secret' },
      messages: { provider: 'cassandra' },
      objects: { provider: 's3', secretKey: 'secret', publicUrl: `http://localhost:${PORT}/objects` },
    })
    const [keycloak] = found(filledIn(compose, ''), /KC_HOSTNAME: (.+)/g)
    const { realm } = JSON.parse(read('templates/compose/keycloak-realm.json'))
    expect(config?.tokenIssuer.issuer).toBe(`${keycloak}/realms/${realm}`)
    const [services = ''] = compose.split('\nvolumes:')
    for (const host of [config?.postgres.host, new URL(config?.tokenIssuer.discoveryUrl ?? '').hostname]) {
      expect(services).toMatch(new RegExp(`^ {2}${host}:$`, 'm'))
    }
  })

  test('publishes on the loopback interface alone', () => {
    const published = found(compose, /^ {4}ports:\n((?: {6}- .+\n)+)/gm).flatMap((ports) => found(ports, /- (.+)/g))
    expect(published).toContain(`127.0.0.1:${PORT}:${PORT}`)
    expect(published.filter((address) => !address.startsWith('127.0.0.1:'))).toEqual([])
  })

  test('wants the secrets that docs/deployment.md makes, and those that it lists itself', () => {
    const wanted = [...new Set(found(compose, /\$\{(\w+):\?/g))].sort()
    const [, made = ''] = /^for name in ([\w\s\\]+); do/m.exec(read('docs/deployment.md')) ?? []
    expect(found(made, /(\w+)/g).sort()).toEqual(wanted)
    const [introduction = ''] = compose.split('name: ism')
    for (const name of wanted) expect(introduction).toContain(name)
  })
})

test.each(['templates/compose.yaml', 'compose.dev.yaml'])('%s mounts files that are there', (file) => {
  const directory = file.includes('/') ? 'templates/' : ''
  const mounted = found(read(file), /^ {4,6}- \.\/([^:]+):/gm)
  expect(mounted).not.toEqual([])
  expect(mounted.filter((path) => !existsSync(`${ROOT}${directory}${path}`))).toEqual([])
})

test('compose.dev.env names what compose.dev.yaml publishes, and the people of its realm', () => {
  const variables = Object.fromEntries(
    [...read('compose.dev.env').matchAll(/^export (\w+)=(.+)$/gm)].map(([, name, value]) => [name, value]),
  )
  const published = found(read('compose.dev.yaml'), /^ {6}- (127\.0\.0\.1:\d+):\d+$/gm)
  const named = found(Object.values(variables).join('\n'), /(127\.0\.0\.1:\d+)/g)
  expect([...new Set(named)].sort()).toEqual(published.sort())

  const { realm, clients, users } = JSON.parse(read('templates/compose/keycloak-realm.json'))
  expect(realm).toBe(variables['ISM_TEST_KEYCLOAK_REALM'])
  expect(clients.map(({ clientId }: { clientId: string }) => clientId)).toEqual([variables['ISM_TEST_KEYCLOAK_CLIENT']])
  for (const { id, username } of users) {
    expect(variables[`ISM_TEST_KEYCLOAK_${username.toUpperCase()}`]).toBe(id)
  }
  const documented = found(read('tests/README.md'), /`(ISM_TEST_\w+)`/g)
  expect(Object.keys(variables).filter((name) => !documented.includes(name))).toEqual([])
})

test('nginx asks ISM at its port, and lets the largest picture through', () => {
  const nginx = read('templates/nginx.conf')
  expect(found(nginx, /^ {2}server 127\.0\.0\.1:(\d+)/gm)).toEqual([`${PORT}`])
  expect(Number(/client_max_body_size (\d+)m;/.exec(nginx)?.[1])).toBeGreaterThan(5)
})

test('the systemd unit waits for ISM to end, and lets Node compile', () => {
  const unit = read('templates/ism.service')
  expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1])).toBeGreaterThan(10)
  expect(unit).not.toMatch(/^MemoryDenyWriteExecute/m)
})
