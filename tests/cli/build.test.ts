/** bin/ism.js in a checkout, a package and an install without a compiler; here around a small `src/` of its own. */
import { spawn } from 'node:child_process'
import { cp, rename, rm, symlink, unlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { directoryWith } from '../support/command-line.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const BUILDING = 'ism: building dist/ from src/, once\n'

const mainSaying = (text: string) => `import { suffix } from './suffix.ts'
export async function runProcess(): Promise<number> {
  process.stdout.write('${text}' + suffix)
  return 7
}
`

test('builds once, although two start at once, and from a path with spaces', async () => {
  const checkout = await makeCheckout()
  const both = await Promise.all([ism(checkout), ism(checkout)])
  for (const outcome of both) expect(outcome).toMatchObject({ code: 7, stdout: 'one.' })
  expect(both.map(({ stderr }) => stderr).join('')).toBe(BUILDING)
  expect(await ism(checkout)).toEqual({ code: 7, stdout: 'one.', stderr: '' })
})

test('builds again when a source is newer, even one dated in the future, and not a third time', async () => {
  const checkout = await makeCheckout()
  await ism(checkout)
  const source = join(checkout, 'src/cli/main.ts')
  await writeFile(source, mainSaying('two'))
  const tomorrow = new Date(Date.now() + 86_400_000)
  await utimes(source, tomorrow, tomorrow)
  expect(await ism(checkout)).toEqual({ code: 7, stdout: 'two.', stderr: BUILDING })
  expect(await ism(checkout)).toEqual({ code: 7, stdout: 'two.', stderr: '' })
})

test('sources that do not compile end it, and it tries again the next time', async () => {
  const checkout = await makeCheckout()
  const source = join(checkout, 'src/cli/main.ts')
  await writeFile(source, mainSaying('one').replace('return 7', "return 'seven'"))
  const { code, stdout, stderr } = await ism(checkout)
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toContain('error TS2322')
  expect(stderr).toMatch(/\nism: src\/ does not compile\n$/)
  await writeFile(source, mainSaying('mended'))
  expect(await ism(checkout)).toMatchObject({ code: 7, stdout: 'mended.' })
})

test('a lock that a killed build left is taken over', async () => {
  const checkout = await makeCheckout()
  const gone = spawn(process.execPath, ['-e', ''])
  await new Promise((resolve) => gone.once('close', resolve))
  await cp(join(checkout, 'src'), join(checkout, 'dist'), { recursive: true })
  await writeFile(join(checkout, 'dist/.lock'), `${gone.pid}`)
  expect(await ism(checkout)).toMatchObject({ code: 7, stdout: 'one.' })
})

test('a package has no src/: its dist/ runs; without one, a line says what to do', async () => {
  const checkout = await makeCheckout()
  await ism(checkout)
  await rm(join(checkout, 'src'), { recursive: true })
  expect(await ism(checkout)).toEqual({ code: 7, stdout: 'one.', stderr: '' })
  await rm(join(checkout, 'dist'), { recursive: true })
  const { code, stderr } = await ism(checkout)
  expect(code).toBe(1)
  expect(stderr).toMatch(/^ism: there is no dist\/ [^\n]*npm ci[^\n]*\n$/)
})

test('without a compiler an old dist/ runs, and the install goes through with a note', async () => {
  const checkout = await makeCheckout()
  await ism(checkout)
  await writeFile(join(checkout, 'src/cli/main.ts'), mainSaying('two'))
  await unlink(join(checkout, 'node_modules'))
  expect(await ism(checkout)).toEqual({ code: 7, stdout: 'one.', stderr: '' })
  await rename(join(checkout, 'dist'), join(checkout, 'elsewhere'))
  expect(await run(checkout, 'bin/build.js')).toEqual({
    code: 0,
    stdout: '',
    stderr: 'ism: TypeScript is not installed: dist/ is left as it is\n',
  })
})

async function makeCheckout(): Promise<string> {
  const checkout = await directoryWith({
    'package.json': '{ "type": "module" }',
    'src/cli/main.ts': mainSaying('one'),
    'src/cli/suffix.ts': `export const suffix = '.'\n`,
  })
  for (const name of ['bin', 'tsconfig.json', 'tsconfig.build.json']) {
    await cp(join(ROOT, name), join(checkout, name), { recursive: true })
  }
  await symlink(join(ROOT, 'node_modules'), join(checkout, 'node_modules'))
  return checkout
}

const ism = (checkout: string) => run(checkout, 'bin/ism.js')

function run(checkout: string, script: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [join(checkout, script)])
  const written = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk) => {
    written.stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    written.stderr += chunk
  })
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, ...written })))
}
