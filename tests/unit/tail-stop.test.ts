/** A tail that is stopped while it waits to try again: a process with nothing else to do must not end before it. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const TAIL = JSON.stringify(new URL('../../src/log/tail.ts', import.meta.url).href)

// The database is a stand-in: it answers the first question, and after that nothing.
const PROGRAM = `
import { Tail } from ${TAIL}
let asked = 0
const db = {
  query: async () => {
    if (asked++ > 0) throw new Error('away')
    return [{ epoch: 'e', head_seq: '0', trimmed_seq: '0' }]
  },
}
const observe = { tailRead() {}, logReplaced() {}, tailFailed: () => stop() }
const tail = new Tail(db, observe, { memoryBytes: 1024, isWoken: () => true })
let stop
const stopping = new Promise((resolve) => (stop = resolve))
await tail.start()
tail.wake()
await stopping
await tail.stop()
console.log('stopped')
`

test('stopping waits for it', async () => {
  const run = promisify(execFile)
  const { stdout } = await run(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', PROGRAM])
  expect(stdout).toBe('stopped\n')
})
