/** A name for a directory that a program can use which runs as somebody who may not walk the path to it. */

import { open } from 'node:fs/promises'
import type { User } from './run.ts'

export type ReachableDirectory = {
  name: string
  /** Descriptors that the program must inherit as its fourth and later ones for `name` to mean anything. */
  inherit: number[]
}

/**
 * Root's data directory may lie under a home that a lent user may not enter. On Linux an open descriptor leads there
 * without a walk from the root. (The working directory would too, but PostgreSQL 15 leaves it and cannot return.)
 */
export async function withReachable<T>(
  directory: string,
  user: User | undefined,
  action: (reachable: ReachableDirectory) => Promise<T>,
): Promise<T> {
  if (!user || process.platform !== 'linux') return action({ name: directory, inherit: [] })
  const handle = await open(directory, 'r')
  try {
    return await action({ name: '/proc/self/fd/3', inherit: [handle.fd] })
  } finally {
    await handle.close()
  }
}
