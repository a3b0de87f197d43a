/** Holds the sources to their layers: imports run downward, and a feature never imports another feature's service. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const SOURCES = fileURLToPath(new URL('../src/', import.meta.url))

/** From the top down. A folder imports those below it, itself, and none above; `src/*.ts` is the composition. */
const LAYERS = [
  ['cli'],
  ['embedded'],
  ['.'],
  ['push', 'webhooks', 'notifications', 'messages', 'rooms', 'presence', 'relationships', 'users'],
  ['deliveries', 'streams', 'objects', 'log', 'http', 'auth'],
  ['observability'],
  ['infra'],
  ['config'],
  ['shared'],
]

/** Allowed all the same, each with its reason. */
const EXCEPTIONS = new Map([
  ['http/context.ts -> users/user.ts', 'the type of whoever makes a request'],
  ['http/authenticate.ts -> users/current-users.ts', 'the type of who finds them'],
  ['config/generate-reference.ts', 'a script, not part of the server'],
])

const FEATURES = new Set(LAYERS[3])
const depth = new Map(LAYERS.flatMap((folders, index) => folders.map((folder) => [folder, index] as const)))
const problems: string[] = []

for (const entry of readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })) {
  if (!entry.endsWith('.ts')) continue
  const text = readFileSync(join(SOURCES, entry), 'utf8')
  for (const [, target] of text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)) {
    if (target) judge(entry, relative(SOURCES, join(SOURCES, dirname(entry), target)))
  }
}

function judge(from: string, to: string): void {
  const [above, below] = [folderOf(from), folderOf(to)]
  const name = `${from} -> ${to}`
  if (above === below || EXCEPTIONS.has(name) || EXCEPTIONS.has(from)) return
  const [upper, lower] = [depth.get(above), depth.get(below)]
  if (upper === undefined || lower === undefined) problems.push(`${name}: a folder without a layer`)
  else if (lower < upper) problems.push(`${name}: runs upward`)
  else if (FEATURES.has(above) && FEATURES.has(below) && /-(service|handlers)\.ts$/.test(to))
    problems.push(`${name}: a feature may import another's types, pure functions and repository only`)
}

function folderOf(file: string): string {
  const [folder = '.', ...rest] = file.split('/')
  return rest.length === 0 ? '.' : folder
}

for (const problem of problems) process.stderr.write(`${problem}\n`)
if (problems.length === 0) process.stdout.write('every import runs downward\n')
process.exitCode = problems.length === 0 ? 0 : 1
