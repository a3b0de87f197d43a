/** Makes a database cluster: beside its place first, so that a start cut short leaves no half of one. */

import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Binaries } from './binaries.ts'
import { type ReachableDirectory, withReachable } from './reachable-directory.ts'
import type { User } from './run.ts'
import { run } from './run.ts'

export const SUPERUSER = 'ism'

export type InitialiseOptions = {
  /** Holds the cluster's directory, named `cluster`. */
  directory: string
  binaries: Binaries
  user: User | undefined
  password: string
  /** Without it initdb leaves it to the system when its files reach the disk. */
  durable: boolean
}

const TEMPORARY = 'cluster-new-'

export const clusterDirectoryIn = (directory: string): string => join(directory, 'cluster')

/** The version that made the cluster; `undefined` where there is none. */
export async function clusterMajor(directory: string): Promise<number | undefined> {
  try {
    return Number.parseInt(await readFile(join(clusterDirectoryIn(directory), 'PG_VERSION'), 'utf8'), 10)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT') return undefined
    if (code !== 'EACCES') throw error
    throw new Error(`${directory} holds a database of another user: start ISM as that user, or name another directory.`)
  }
}

export async function initialise(options: InitialiseOptions): Promise<void> {
  const { directory, user } = options
  for (const name of await readdir(directory)) {
    if (name.startsWith(TEMPORARY)) await rm(join(directory, name), { recursive: true, force: true })
  }
  const temporary = await mkdtemp(join(directory, TEMPORARY))
  try {
    const data = join(temporary, 'data')
    const passwordFile = join(temporary, 'password')
    await mkdir(data, { mode: 0o700 })
    await writeFile(passwordFile, `${options.password}\n`, { mode: 0o600 })
    if (user) for (const path of [temporary, data, passwordFile]) await chown(path, user.uid, user.gid)
    await withReachable(data, user, (reachable) => initdb(options, data, reachable))
    await chmod(data, 0o700)
    await rename(data, clusterDirectoryIn(directory))
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}

async function initdb(options: InitialiseOptions, data: string, { name, inherit }: ReachableDirectory): Promise<void> {
  const { binaries, user } = options
  let output = ''
  for (const locale of localesToTry(binaries.major)) {
    const parameters = [
      ...['-D', name, '-U', SUPERUSER, '-E', 'UTF8', ...locale],
      ...['--auth=scram-sha-256', `--pwfile=${name}/../password`, '--text-search-config=simple'],
      ...(options.durable ? [] : ['--no-sync']),
    ]
    const result = await run(binaries.initdb, parameters, { user, inherit, timeoutMilliseconds: 300_000 })
    if (result.code === 0) return
    output = result.output
    if (!/locale/i.test(output)) break
    for (const entry of await readdir(data)) await rm(join(data, entry), { recursive: true, force: true })
  }
  throw new Error(`initdb failed: ${lastLines(output)}`)
}

/** Trigrams of non-ASCII text need a UTF-8 ctype; where a system has no C.UTF-8, its English one serves. */
function localesToTry(major: number): string[][] {
  const builtin = ['--locale-provider=builtin', '--builtin-locale=C.UTF-8']
  if (major < 17) return ['C.UTF-8', 'en_US.UTF-8', 'C'].map((name) => [`--locale=${name}`])
  return [[...builtin, '--lc-ctype=C.UTF-8'], [...builtin, '--lc-ctype=en_US.UTF-8'], builtin]
}

const lastLines = (text: string): string => text.trim().split('\n').slice(-4).join(' | ')
