/** How the command line answers before any command runs: help, version, wrong usage. */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { ism } from '../support/command-line.ts'
import { endProcesses, TestProcess } from '../support/test-process.ts'

const PROGRAM = fileURLToPath(new URL('../../bin/ism.js', import.meta.url))

afterEach(endProcesses)

const COMMANDS = ['serve', 'migrate', 'init-keyspace', 'check-config', 'status', 'send-notification', 'init', 'token']

test('--help lists every command', async () => {
  const { code, stdout, stderr } = await ism(['--help'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'))
})

test.each(COMMANDS)('%s --help has a description, examples and exit codes', async (command) => {
  const { code, stdout, stderr } = await ism([command, '--help'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toContain(`Usage: ism ${command}`)
  expect(stdout).toMatch(new RegExp(`Examples:\n(?:.*\n)*?.*ism ${command}`))
  expect(stdout).toMatch(/Exit codes:\n {2}0 .+\n {2}1 .+\n {2}2 .+\n$/)
})

test('token --help says once how long a token is valid, and promises no refusal of a directory that it makes', async () => {
  const { stdout } = await ism(['token', '--help'])
  expect(stdout.match(/default: (1h|3600)/g)).toEqual(['default: 1h'])
  expect(stdout).not.toContain('no such data directory')
})

test('--version is that of the package', async () => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  expect(await ism(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
})

test.skipIf(!existsSync('/dev/full'))(
  'output for which there is no room is a failure; nobody who reads it is none',
  async () => {
    const run = (shell: string) => new TestProcess('sh', ['-c', shell, process.execPath, PROGRAM])
    const full = run('exec "$0" "$1" --help > /dev/full')
    expect(await full.exited).toEqual({ code: 1, signal: null })
    expect(full.stderr).toMatch(/^ism: standard output cannot be written: ENOSPC.*$/m)
    const unread = run('"$0" "$1" --help | true; echo end')
    expect(await unread.exited).toEqual({ code: 0, signal: null })
    expect(unread.stderr).toBe('')
  },
)

test('no command at all is wrong usage, and shows the help', async () => {
  const { code, stdout, stderr } = await ism([])
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toContain('Usage: ism')
})

describe('wrong usage is one line and exit code 2', () => {
  test.each([
    ['sevre', /unknown command 'sevre' \(Did you mean serve\?\)/],
    ['serve --prot 1', /unknown option '--prot' \(Did you mean --port\?\)/],
    ['serve --port eighty', /from 0 to 65535/],
    ['serve --port 65536', /from 0 to 65535/],
    ['serve --port -1', /from 0 to 65535/],
    ['serve --data x', /--data goes with --embedded only/],
    ['serve --embedded --config x', /'--config <file>' cannot be used with option '--embedded'/],
    ['serve now', /too many arguments/],
    ['migrate down', /Allowed choices are up, status/],
    ['migrate status --dry-run', /--dry-run goes with up only/],
    ['init --file', /argument missing/],
    ['token', /missing required argument 'name'/],
    ['token a b', /too many arguments/],
    [`token ${'n'.repeat(101)}`, /a name of 1 to 100 characters/],
    ['token a --expires 1y', /such as 90s, 15m, 1h or 7d/],
    ['token a --expires 0s', /such as 90s/],
    ['token a --expires 90', /such as 90s/],
    ['token a --expires 99999d', /such as 90s/],
  ])('ism %s', async (line, message) => {
    const { code, stdout, stderr } = await ism(line.split(' '))
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/^ism: [^\n]+\n$/)
    expect(stderr).toMatch(message)
  })

  test('a name of spaces', async () => {
    expect(await ism(['token', ' '])).toMatchObject({ code: 2, stdout: '' })
  })
})
