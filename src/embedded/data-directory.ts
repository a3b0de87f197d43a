/** The data directory of embedded mode: what lies where, and who may use it. */

import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { lockAsOwner, type OwnerLock } from './owner-lock.ts'

export type DataDirectory = {
  path: string
  objects: string
  issuerKey: string
  issuerPort: string
  people: string
  peopleLock: string
}

/** Long enough for two that start at once to settle who goes first. */
const PATIENCE_MILLISECONDS = 300

/** Makes the directory where it is missing, closed to other users. */
export async function openDataDirectory(directory: string): Promise<DataDirectory> {
  const path = resolve(directory)
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw new Error(`The data directory ${path} cannot be made: ${(error as Error).message}`, { cause: error })
  }
  return {
    path,
    objects: join(path, 'objects'),
    issuerKey: join(path, 'issuer-key.json'),
    issuerPort: join(path, 'issuer-port'),
    people: join(path, 'people.json'),
    peopleLock: join(path, 'people.lock'),
  }
}

/** One ISM a data directory; throws an Error that names the process which has it. */
export function lockDataDirectory(directory: DataDirectory): Promise<OwnerLock> {
  return lockAsOwner(
    join(directory.path, 'ism.lock'),
    PATIENCE_MILLISECONDS,
    (pid) =>
      new Error(
        `Process ${pid} already runs ISM on ${directory.path}: stop it, or name another directory with --data.`,
      ),
  ).catch(readable(directory))
}

/** What the system says of files that another user owns, in words that say what to do. */
export const readable =
  (directory: DataDirectory) =>
  (error: NodeJS.ErrnoException): never => {
    if (error.code !== 'EACCES' && error.code !== 'EPERM') throw error
    const problem = `The data directory ${directory.path} belongs to another user`
    throw new Error(`${problem}: run as that user, or name another directory with --data.`, { cause: error })
  }
