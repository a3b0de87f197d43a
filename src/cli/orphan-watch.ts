/** Under npx, ISM stops when npm does: npm hands a SIGTERM to its shell only, which dies without passing it on. */
import type { Io, StopSignal } from './io.ts'

const CHECK_MS = 250

/** Where npm started this process, calls `stop` once the process that npm put in between is gone. */
export function watchParent(
  env: Io['env'],
  surroundings: { readonly ppid: number },
  stop: (signal: StopSignal) => void,
): void {
  if (env['npm_command'] === undefined) return
  const parent = surroundings.ppid
  const timer = setInterval(() => {
    if (surroundings.ppid === parent) return
    clearInterval(timer)
    stop('SIGTERM')
  }, CHECK_MS)
  timer.unref()
}
