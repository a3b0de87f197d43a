/** What a process and its children have cost, as the operating system counts it (proc(5), Linux). */
import { readdirSync, readFileSync } from 'node:fs'

/** CPU seconds of the process and of all its descendants that live now, user and system. */
export function cpuSeconds(pid: number): number {
  return [pid, ...descendants(pid)].reduce((sum, each) => sum + (statOf(each)?.seconds ?? 0), 0)
}

/** CPU seconds that the kernel has spent for the process itself. */
export function systemSeconds(pid: number): number {
  return statOf(pid)?.system ?? 0
}

const TICKS_A_SECOND = 100

type Stat = { parent: number; seconds: number; system: number }

function statOf(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name, in parentheses, may hold anything: fields are counted after it.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const [reapedUser, reapedSystem] = [Number(fields[13]), Number(fields[14])]
    const ticks = Number(fields[11]) + Number(fields[12]) + reapedUser + reapedSystem
    return { parent: Number(fields[1]), seconds: ticks / TICKS_A_SECOND, system: Number(fields[12]) / TICKS_A_SECOND }
  } catch {
    return undefined
  }
}

function descendants(pid: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    const each = Number(name)
    const stat = Number.isInteger(each) ? statOf(each) : undefined
    if (stat) parents.set(each, stat.parent)
  }
  const found: number[] = []
  let generation = [pid]
  while (generation.length > 0) {
    generation = [...parents].filter(([, parent]) => generation.includes(parent)).map(([each]) => each)
    found.push(...generation)
  }
  return found
}

/** Memory that the process holds now (proc(5), VmRSS). */
export function residentMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024
}

/** Files, sockets among them, that the process holds open now (proc(5), fd). */
export function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}
