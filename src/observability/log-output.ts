/** Where the log is written: what cannot be written, as on a full disk, neither holds the process up nor ends it. */
import { pino } from 'pino'
import sonicBoom from 'sonic-boom'

/** Of what cannot be written so much waits until it can; past it lines are dropped. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024
/** At the process's end a reader that takes nothing is waited for so many times 100 ms. */
const LAST_TRIES = 10

export type LogOutput = {
  write(line: string): void
  flushSync(): void
}

/** Lines of one turn of the event loop share a write; what is left at the process's end is written then. */
export function openLogOutput(fd: number, maxWaitingBytes = MAX_WAITING_BYTES): LogOutput {
  let lines = ''
  let dropped = 0
  let fails = false
  let tries = Number.POSITIVE_INFINITY
  const output = new sonicBoom.SonicBoom({
    fd,
    sync: false,
    maxLength: maxWaitingBytes,
    retryEAGAIN: () => tries-- > 0,
  })
  output.on('error', () => {
    fails = true
  })
  output.on('drop', (some: string) => {
    dropped += some.split('\n').length - 1
  })
  output.on('drain', () => {
    fails = false
    if (dropped > 0) output.write(droppedLine(dropped))
    dropped = 0
  })

  function writeLines(): void {
    if (lines !== '') output.write(lines)
    lines = ''
  }

  function flushSync(): void {
    writeLines()
    // Where it fails, this would try for ever.
    if (!fails) output.flushSync()
  }

  process.once('exit', () => {
    tries = LAST_TRIES
    try {
      flushSync()
    } catch {
      // There is nowhere else to say it.
    }
  })
  return {
    write(line) {
      if (lines === '') setImmediate(writeLines)
      lines += line
    },
    flushSync,
  }
}

function droppedLine(lines: number): string {
  const [level, time] = [pino.levels.values['warn'], new Date().toISOString()]
  return `${JSON.stringify({ level, time, pid: process.pid, lines, msg: 'lines of this log could not be written' })}\n`
}
