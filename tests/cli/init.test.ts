/** `ism init`: writes a configuration that is in order, readable by its owner only, and never over another one. */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { directoryWith, ism } from '../support/command-line.ts'

test('the file is in order as it stands', async () => {
  const cwd = await directoryWith()
  expect(await ism(['init'], { cwd })).toMatchObject({ code: 0, stderr: '' })
  expect((await stat(join(cwd, 'production.config.toml'))).mode & 0o777).toBe(0o600)
  expect(await ism(['check-config'], { cwd })).toMatchObject({ code: 0 })
})

test('one that is there stays as it is', async () => {
  const cwd = await directoryWith({ 'production.config.toml': '# mine\n' })
  expect(await ism(['init'], { cwd })).toEqual({
    code: 1,
    stdout: '',
    stderr: 'ism: production.config.toml exists already and was left as it is\n',
  })
  expect(await readFile(join(cwd, 'production.config.toml'), 'utf8')).toBe('# mine\n')
})

test('--file names another one', async () => {
  const cwd = await directoryWith({ 'production.config.toml': '# mine\n' })
  expect(await ism(['init', '--file', 'staging.config.toml'], { cwd })).toMatchObject({ code: 0 })
  expect(await ism(['check-config'], { cwd, env: { ISM_MODE: 'staging' } })).toMatchObject({ code: 0 })
})

test('a directory that is not there', async () => {
  const { code, stderr } = await ism(['init', '--file', 'absent/x.toml'], { cwd: await directoryWith() })
  expect(code).toBe(1)
  expect(stderr).toMatch(/^ism: ENOENT[^\n]*\n$/)
})
