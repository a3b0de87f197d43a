/** A lock between processes that the death of its owner releases: a directory with an entry for each who claims it. */

import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { processStart } from './processes.ts'

export type OwnerLock = { release(): Promise<void> }

const PAUSE_MILLISECONDS = 20

/**
 * Waits up to `patienceMilliseconds` for the lock at `path`; throws what `refusal` makes of the owner's pid.
 *
 * An entry's name is its owner's pid and start time, which no two processes share, so that removing a dead owner's
 * entry can never remove a living one's. Whoever claims writes an entry first and looks at the others second: of two at
 * once the later to write sees the earlier. Both may step back, and then try again after a random while.
 */
export async function lockAsOwner(
  path: string,
  patienceMilliseconds: number,
  refusal: (pid: number) => Error,
): Promise<OwnerLock> {
  await mkdir(path, { recursive: true, mode: 0o700 })
  const own = `${process.pid}.${await processStart(process.pid)}`
  const deadline = Date.now() + patienceMilliseconds
  for (;;) {
    const owner = await claim(path, own)
    if (owner === undefined) return { release: () => rm(join(path, own), { force: true }) }
    if (Date.now() > deadline) throw refusal(owner)
    await delay(PAUSE_MILLISECONDS * (0.5 + Math.random()))
  }
}

/** The pid of a living owner, where there is one. */
async function claim(path: string, own: string): Promise<number | undefined> {
  try {
    await writeFile(join(path, own), '', { flag: 'wx', mode: 0o600 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return process.pid
    throw error
  }
  for (const entry of await readdir(path)) {
    if (entry === own) continue
    const pid = Number.parseInt(entry, 10)
    if (Number.isInteger(pid) && entry === `${pid}.${await processStart(pid)}`) {
      await rm(join(path, own), { force: true })
      return pid
    }
    await rm(join(path, entry), { force: true })
  }
  return undefined
}
