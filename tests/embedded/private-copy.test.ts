/** The copy of PostgreSQL's programs that is run where their own place cannot serve. */

import { chmod, lstat, mkdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { restoreLibraryLinks } from '../../src/embedded/postgres/binaries.ts'
import { privateCopy } from '../../src/embedded/postgres/private-copy.ts'
import { temporaryDirectory } from './owner.ts'

async function fakePackage(directory: string): Promise<string> {
  const native = join(directory, 'native')
  for (const folder of ['bin', 'lib']) await mkdir(join(native, folder), { recursive: true })
  await writeFile(join(native, 'bin', 'postgres'), 'program'.repeat(500))
  await writeFile(join(native, 'lib', 'libpq.a'), 'not needed')
  return native
}

test('it is made once, completed, closed to changes by others, and used again', async () => {
  const directory = await temporaryDirectory()
  const native = await fakePackage(directory)
  const complete = (copy: string) => writeFile(join(copy, 'completed'), 'yes')
  const first = await privateCopy(native, directory, undefined, complete)
  expect(await readFile(join(first, 'completed'), 'utf8')).toBe('yes')
  expect(await lstat(join(first, 'lib', 'libpq.a')).catch(() => 'left out')).toBe('left out')
  expect((await lstat(first)).mode & 0o777).toBe(0o755)

  const second = await privateCopy(native, directory, undefined, () => Promise.reject(new Error('made again')))
  expect(second).toBe(first)
})

test('one that others can change is not trusted', async () => {
  const directory = await temporaryDirectory()
  const native = await fakePackage(directory)
  const copy = await privateCopy(native, directory, undefined, async () => {})
  await chmod(copy, 0o777)
  await expect(privateCopy(native, directory, undefined, async () => {})).rejects.toThrow()
  await rm(copy, { recursive: true })
  expect(await privateCopy(native, directory, undefined, async () => {})).toBe(copy)
})

test('links that npm does not pack are made again, under whatever name the package lies', async () => {
  const directory = await temporaryDirectory()
  const native = await fakePackage(directory)
  const links = [
    { source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so.5' },
    { source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so' },
  ]
  await writeFile(join(native, 'pg-symlinks.json'), JSON.stringify(links))
  const copy = await privateCopy(native, directory, undefined, restoreLibraryLinks)
  for (const name of ['libpq.so.5', 'libpq.so']) expect(await readlink(join(copy, 'lib', name))).toBe('libpq.so.5.18')
  await expect(restoreLibraryLinks(copy)).resolves.toBeUndefined()
})
