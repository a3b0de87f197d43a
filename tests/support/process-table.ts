/** Which processes a process has started, and whether they are still there. */
import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { processStart } from '../../src/embedded/processes.ts'

/** One process of all time, though its pid may be given to another. */
export type KnownProcess = { pid: number; start: string }

/** Everything below `root`, whatever session it has made its own. */
export async function descendantsOf(root: number): Promise<KnownProcess[]> {
  const parents = await parentOfEach()
  const found = new Set([root])
  // A child may come before its parent in the table.
  for (let size = 0; size !== found.size; ) {
    size = found.size
    for (const [pid, parent] of parents) if (found.has(parent)) found.add(pid)
  }
  found.delete(root)
  return identify([...found])
}

/** Those that live. */
export async function identify(pids: number[]): Promise<KnownProcess[]> {
  const known = await Promise.all(pids.map(async (pid) => ({ pid, start: await processStart(pid) })))
  return known.flatMap(({ pid, start }) => (start === undefined ? [] : [{ pid, start }]))
}

/** A zombie counts as gone: it holds nothing, and who should reap it is not ISM. */
export async function stillThere(processes: KnownProcess[]): Promise<number[]> {
  const starts = await Promise.all(processes.map(({ pid }) => processStart(pid)))
  return processes.filter(({ start }, n) => starts[n] === start).map(({ pid }) => pid)
}

async function parentOfEach(): Promise<Map<number, number>> {
  if (process.platform !== 'linux') {
    const { stdout } = await promisify(execFile)('ps', ['-axo', 'pid=,ppid='])
    return new Map(stdout.split('\n').map((line) => line.trim().split(/\s+/).map(Number) as [number, number]))
  }
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const entries = await Promise.all(
    pids.map(async (pid): Promise<[number, number]> => {
      const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
      // The second field is the command in brackets and may hold anything.
      return [Number(pid), Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1])]
    }),
  )
  return new Map(entries)
}
