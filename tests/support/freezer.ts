/** Processes of others that are stopped for a while: they go on in any case when this process ends. */
import { signal } from '../../src/embedded/processes.ts'

const frozen = new Set<number>()

process.on('exit', () => {
  for (const pid of frozen) signal(pid, 'SIGCONT')
})

/** @returns false where there is no such process */
export function freeze(pid: number): boolean {
  if (!signal(pid, 'SIGSTOP')) return false
  frozen.add(pid)
  return true
}

export function thaw(pid: number): void {
  frozen.delete(pid)
  signal(pid, 'SIGCONT')
}
