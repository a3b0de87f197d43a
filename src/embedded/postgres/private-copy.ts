/** A copy of PostgreSQL's package in a place where the user that runs it can reach it and nobody else can change it. */

import { createHash } from 'node:crypto'
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { User } from './run.ts'

/** Open to every user, so a lent one gets through whatever the data directory lies under. */
const SHARED_PLACES = ['/var/tmp', '/tmp']

/** Returns the copy's folder; one made by an earlier start is used again. It is a cache: losing it loses nothing. */
export async function privateCopy(
  native: string,
  cacheDirectory: string,
  user: User | undefined,
  complete: (copy: string) => Promise<void>,
): Promise<string> {
  const name = `ism-postgres-${await fingerprint(native)}`
  const places = user ? SHARED_PLACES : [cacheDirectory]
  let problem: unknown
  for (const place of places) {
    const target = join(place, name)
    try {
      if (await isOurs(target)) return target
      await mkdir(place, { recursive: true })
      const temporary = await mkdtemp(join(place, `${name}-`))
      try {
        await cp(native, temporary, { recursive: true, verbatimSymlinks: true, filter: (path) => !path.endsWith('.a') })
        await complete(temporary)
        await chmod(temporary, 0o755)
        await rename(temporary, target)
      } catch (error) {
        await rm(temporary, { recursive: true, force: true })
        // Another start may have been quicker.
        if (!(await isOurs(target))) throw error
      }
      return target
    } catch (error) {
      problem = error
    }
  }
  throw problem
}

/** In a shared place anybody could have made a folder of that name: only one that we own, closed to others, is run. */
async function isOurs(target: string): Promise<boolean> {
  const found = await lstat(target).catch(() => undefined)
  if (!found) return false
  return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0
}

async function fingerprint(native: string): Promise<string> {
  const hash = createHash('sha256')
  for (const folder of ['bin', 'lib']) {
    for (const name of (await readdir(join(native, folder))).sort()) {
      const { size, mtimeMs } = await lstat(join(native, folder, name))
      // Links are made later than the package: only its files count.
      if (size > 1000) hash.update(`${name} ${size} ${folder === 'bin' ? mtimeMs : ''}\n`)
    }
  }
  return hash.digest('hex').slice(0, 16)
}
