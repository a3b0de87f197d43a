/** Processes that a bench starts: they end with it, and may open the files that they need. */
import { type ChildProcess, execFileSync, type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'

const running = new Set<ChildProcess>()

process.on('exit', () => {
  for (const child of running) {
    child.kill('SIGTERM')
    // One that is frozen ends when it goes on.
    child.kill('SIGCONT')
  }
})

export type StartOptions = SpawnOptions & {
  /** File descriptors, one for each connection and some more; Node cannot raise its own limit, so a shell does. */
  openFiles?: number
}

/** @throws Error where the system does not allow that many open files */
export function startProcess(command: string, parameters: string[], { openFiles, ...options }: StartOptions = {}) {
  if (openFiles !== undefined) requireOpenFiles(openFiles)
  const child =
    openFiles === undefined
      ? spawn(command, parameters, options)
      : // `"$0"`: the limit; what follows it replaces the shell, so that the pid is the command's.
        spawn('sh', ['-c', 'ulimit -n "$0" && exec "$@"', String(openFiles), command, ...parameters], options)
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

/**
 * A TypeScript file of ours in a process of its own, with a channel for messages. Load from elsewhere would not
 * interrupt a server each time that it is woken; nor must this, so it is scheduled as a batch (sched(7)).
 */
export function startModule(file: string, parameters: string[] = [], options: StartOptions = {}): ChildProcess {
  const child = startProcess(process.execPath, [...process.execArgv, file, ...parameters], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    serialization: 'advanced',
    ...options,
  })
  spawnSync('chrt', ['--batch', '--all-tasks', '--pid', '0', String(child.pid)])
  return child
}

export async function endProcess(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill(signal)
  await exited
}

function requireOpenFiles(count: number): void {
  const limit = execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim()
  if (limit === 'unlimited' || Number(limit) >= count) return
  throw new Error(
    `${count} open files are needed, and the hard limit is ${limit}: raise it (ulimit -Hn ${count} as root, or nofile in limits.conf), or ask for fewer connections`,
  )
}
