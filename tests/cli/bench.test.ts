/** `npm run bench` as somebody types it, and thinks better of it. */
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { directoryWith } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { endProcesses, TestProcess } from '../support/test-process.ts'

const BENCH = fileURLToPath(new URL('../../bench/main.ts', import.meta.url))

afterEach(endProcesses)

test('one that is stopped takes its PostgreSQL and what that has written with it', async () => {
  const TMPDIR = join(await directoryWith(), 'tmp')
  await mkdir(TMPDIR)
  const parameters = ['--import', import.meta.resolve('tsx'), BENCH, 'memory', '--small']
  const bench = new TestProcess(process.execPath, parameters, { env: { ...process.env, TMPDIR } as never })
  await bench.until('its first round', (output) => output.includes('round 1'))
  expect(await readdir(TMPDIR)).toContainEqual(expect.stringMatching(/^ism-bench-/))
  expect(await bench.kill('SIGINT')).toEqual({ code: 1, signal: null })
  await eventually('its directory is gone', async () =>
    (await readdir(TMPDIR)).every((name) => !name.startsWith('ism-bench-')),
  )
})
