/** How a bench hears of a process of its own that fails. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { TaskProcess } from '../../bench/support/task-process.ts'

const FAILS = `process.on('message', () => process.send({ failed: 'there is no such thing' }))`

test('a task that fails while something else is awaited fails whoever asked for it, and not the suite', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'ism-bench-test-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const file = join(directory, 'fails.mjs')
  await writeFile(file, FAILS)
  const unhandled: unknown[] = []
  const note = (reason: unknown) => unhandled.push(reason)
  process.on('unhandledRejection', note)
  onTestFinished(() => void process.off('unhandledRejection', note))
  const tasks = new TaskProcess(file)
  onTestFinished(() => tasks.stop())

  const asked = tasks.ask({})
  // Answered after the first.
  await expect(tasks.ask({})).rejects.toThrow('there is no such thing')
  await new Promise((resolve) => setImmediate(resolve))
  expect(unhandled).toEqual([])
  await expect(asked).rejects.toThrow('there is no such thing')
})
