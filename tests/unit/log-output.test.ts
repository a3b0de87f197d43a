/** The log's output by a pipe whose reader takes nothing for a while. */
import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openLogOutput } from '../../src/observability/log-output.ts'
import { eventually } from '../support/eventually.ts'

const MAX_WAITING = 256 * 1024

let directory: string
let pipe: number
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ism-log-'))
  const path = join(directory, 'pipe')
  execFileSync('mkfifo', [path])
  pipe = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
})
afterEach(async () => {
  closeSync(pipe)
  await rm(directory, { recursive: true })
})

/** What the pipe has now, of which a part of a line may come later. */
function read(): string {
  const buffer = Buffer.alloc(MAX_WAITING)
  try {
    return buffer.toString('utf8', 0, readSync(pipe, buffer))
  } catch {
    return ''
  }
}

test('keeps some of what is not taken, says how many lines it dropped, and goes on', async () => {
  const output = openLogOutput(pipe, MAX_WAITING)
  const line = (n: number) => `${JSON.stringify({ n, padding: 'x'.repeat(1_000) })}\n`
  for (let n = 0; n < 1_000; n++) {
    output.write(line(n))
    await turn()
  }
  let text = ''
  await eventually('it says what it dropped', async () => {
    text += read()
    return text.includes('"lines":')
  })
  output.write(line(1_000))
  await eventually('the next line', async () => {
    text += read()
    return text.includes('"n":1000')
  })
  const lines = text
    .trim()
    .split('\n')
    .map((each) => JSON.parse(each))
  const numbers = lines.flatMap(({ n }) => n ?? [])
  const [{ lines: dropped, msg }] = lines.filter(({ msg }) => msg) as [{ lines: number; msg: string }]
  expect(msg).toMatch(/could not be written/)
  expect(numbers.length).toBeGreaterThan(200)
  expect(numbers.length + dropped).toBe(1_001)
  expect(numbers).toEqual([...Array(numbers.length - 1).keys(), 1_000])
})
