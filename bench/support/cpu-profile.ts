/** Where a process's CPU time went, by its V8 profiles: the functions with the most time of their own. */
import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'

type Profile = {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[]
  samples: number[]
  timeDeltas: number[]
}

const TOP = 30

export async function describeProfiles(directory: string): Promise<string> {
  const files = (await readdir(directory)).filter((name) => name.endsWith('.cpuprofile'))
  const parts = await Promise.all(
    files.map(async (name) => `${name}\n${describe(JSON.parse(await readFile(join(directory, name), 'utf8')))}`),
  )
  return parts.join('\n')
}

function describe({ nodes, samples, timeDeltas }: Profile): string {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const own = new Map<string, number>()
  let busy = 0
  for (const [index, id] of samples.entries()) {
    const frame = frames.get(id)
    if (!frame || frame.functionName === '(idle)') continue
    const delta = timeDeltas[index] ?? 0
    const name = `${frame.functionName || '(anonymous)'} ${placeOf(frame.url, frame.lineNumber)}`
    own.set(name, (own.get(name) ?? 0) + delta)
    busy += delta
  }
  return [...own]
    .sort(([, a], [, b]) => b - a)
    .slice(0, TOP)
    .map(([name, time]) => `${((time / busy) * 100).toFixed(1).padStart(6)} %  ${name}`)
    .join('\n')
}

function placeOf(url: string, line: number): string {
  if (!url) return ''
  const [, module] = /.*node_modules\/(.+)$/.exec(url) ?? []
  const [, own] = /\/dist\/(.+)$/.exec(url) ?? []
  return `${module ?? own ?? (url.startsWith('node:') ? url : basename(url))}:${line + 1}`
}
