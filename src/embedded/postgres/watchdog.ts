/** Stops PostgreSQL when ISM dies without a chance to: a shell waits at the other end of a pipe. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'

/**
 * Reads which pid to guard, a line each (an empty one: none), until the pipe closes, which the kernel does for a
 * process that was killed as for one that ended. A terminal's or container's signals to everybody are not for it.
 */
const SCRIPT = `
trap '' HUP INT TERM
pid=
while read -r line; do pid=$line; done
if [ -n "$pid" ] && kill -INT "$pid" 2>/dev/null; then
  turn=0
  while kill -0 "$pid" 2>/dev/null && [ $turn -lt 120 ]; do
    turn=$((turn + 1))
    [ $turn -ne 30 ] || kill -QUIT "$pid" 2>/dev/null
    [ $turn -ne 60 ] || kill -KILL "$pid" 2>/dev/null
    sleep 0.05
  done
fi
[ -z "$1" ] || rm -rf -- "$1"
`

const RESTART_MILLISECONDS = 100

export type Watchdog = {
  guard(pid: number | undefined): void
  /** Resolves when the watchdog is gone. */
  end(): Promise<void>
}

/** `removeAtEnd` is a directory that nobody needs once ISM is gone. */
export function startWatchdog(removeAtEnd?: string): Watchdog {
  let guarded: number | undefined
  let ended = false
  let child = start()

  function start() {
    // Detached: its own session, which Ctrl-C at the terminal does not reach.
    const shell = spawn('/bin/sh', ['-c', SCRIPT, 'ism-watchdog', removeAtEnd ?? ''], {
      cwd: '/',
      detached: true,
      env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    shell.unref()
    shell.stdin.on('error', () => undefined)
    shell.on('error', () => undefined)
    shell.once('exit', () => {
      if (!ended) setTimeout(restart, RESTART_MILLISECONDS).unref()
    })
    return shell
  }

  function restart(): void {
    if (ended) return
    child = start()
    guard(guarded)
  }

  function guard(pid: number | undefined): void {
    guarded = pid
    child.stdin.write(`${pid ?? ''}\n`)
  }

  return {
    guard,
    async end() {
      ended = true
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
      const exit = once(child, 'exit')
      child.ref()
      child.stdin.end('\n')
      await exit
    },
  }
}
