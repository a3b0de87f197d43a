/** What ISM asks the system about processes that are not its children. */

import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

const execute = promisify(execFile)
const LINUX = process.platform === 'linux'

/**
 * Tells two processes apart that had the same pid; `undefined` where none runs. A zombie counts as none: it holds
 * nothing any more, and its parent may never reap it.
 */
export async function processStart(pid: number): Promise<string | undefined> {
  if (LINUX) {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
    // The second field is the command in brackets and may hold anything.
    const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ')
    if (!fields || fields[0] === 'Z' || fields[0] === 'X') return undefined
    // Ticks count from boot: with the boot's id they name one process of all time.
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')
    return `${fields[19]}-${boot.slice(0, 8)}`
  }
  const answer = await execute('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { env: PS_ENVIRONMENT }).catch(
    () => undefined,
  )
  const [state = 'Z', ...start] = answer?.stdout.trim().split(/\s+/) ?? []
  return state.startsWith('Z') ? undefined : start.join('-').replaceAll(':', '')
}

/** The pids of PostgreSQL's processes, postmasters and backends, whose command line holds `mark`. */
export async function postgresProcesses(mark: string): Promise<number[]> {
  const isMarked = (line: string | undefined) => line?.includes(mark) && /(?:^|\/|\s)postgres(?=[\0: ])/.test(line)
  if (LINUX) {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
    const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined)))
    return pids.filter((_, index) => isMarked(lines[index])).map(Number)
  }
  const answer = await execute('ps', ['-axo', 'pid=,command='], { env: PS_ENVIRONMENT, maxBuffer: 16 << 20 })
  return answer.stdout
    .split('\n')
    .filter(isMarked)
    .map((line) => Number.parseInt(line, 10))
}

const PS_ENVIRONMENT = { LC_ALL: 'C', TZ: 'UTC', PATH: '/bin:/usr/bin' }

/** False where the process is gone; never throws. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}
