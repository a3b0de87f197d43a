/** Where a process's CPU time went, by its V8 profiles: the modules and functions with the most time of their own. */
import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'

type Profile = {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[]
  samples: number[]
  timeDeltas: number[]
}

const TOP = 25

export async function describeProfiles(directory: string): Promise<string> {
  const files = (await readdir(directory)).filter((name) => name.endsWith('.cpuprofile'))
  const parts = await Promise.all(
    files.map(async (name) => `${name}\n${describe(JSON.parse(await readFile(join(directory, name), 'utf8')))}`),
  )
  return parts.join('\n')
}

function describe({ nodes, samples, timeDeltas }: Profile): string {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const byFunction = new Map<string, number>()
  const byModule = new Map<string, number>()
  let busy = 0
  for (const [index, id] of samples.entries()) {
    const frame = frames.get(id)
    if (!frame || frame.functionName === '(idle)') continue
    const delta = timeDeltas[index] ?? 0
    const place = placeOf(frame.url)
    add(byFunction, `${frame.functionName || '(anonymous)'} ${place && `${place}:${frame.lineNumber + 1}`}`, delta)
    add(byModule, place ? moduleOf(frame.url, place) : frame.functionName || '(anonymous)', delta)
    busy += delta
  }
  return `${topOf(byModule, busy)}\n\n${topOf(byFunction, busy)}`
}

function add(times: Map<string, number>, name: string, delta: number): void {
  times.set(name, (times.get(name) ?? 0) + delta)
}

function topOf(times: Map<string, number>, busy: number): string {
  return [...times]
    .sort(([, a], [, b]) => b - a)
    .slice(0, TOP)
    .map(([name, time]) => `${((time / busy) * 100).toFixed(1).padStart(6)} %  ${name}`)
    .join('\n')
}

/** In a package, in `dist/`, or in Node. */
function placeOf(url: string): string {
  const [, dependency] = /.*node_modules\/(.+)$/.exec(url) ?? []
  const [, own] = /\/dist\/(.+)$/.exec(url) ?? []
  return dependency ?? own ?? (url.startsWith('node:') ? url : basename(url))
}

function moduleOf(url: string, place: string): string {
  const [, name = ''] = /^((?:@[^/]+\/)?[^/]+)/.exec(place) ?? []
  if (url.includes('node_modules')) return name
  return url.startsWith('node:') ? url : `ISM ${place.includes('/') ? name : place}`
}
