/** Whom PostgreSQL runs as: it refuses root, so that root lends it an unprivileged user that exists already. */

import { readFile, stat } from 'node:fs/promises'
import { run, type User } from './run.ts'

/** In this order; `_postgres` is macOS's. */
const PREFERRED = ['postgres', '_postgres', 'nobody', 'daemon']
const OVERFLOW: User = { uid: 65534, gid: 65534 }

/**
 * `undefined` means "as whoever runs ISM". Root follows the owner of a cluster that exists: which users there are may
 * change between two starts, the files' owner does not.
 */
export async function userToRunAs(clusterDirectory: string): Promise<User | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const owner = await stat(clusterDirectory).catch(() => undefined)
  const user =
    owner && owner.uid !== 0
      ? { uid: owner.uid, gid: owner.gid }
      : unprivilegedUser(await readFile('/etc/passwd', 'utf8').catch(() => ''))
  const { code, output } = await run('/bin/sh', ['-c', ':'], { user })
  if (code === 0) return user
  // A container may have a root that is denied even this.
  throw new Error(
    `PostgreSQL does not run as root, and this root cannot become user ${user.uid} (${output}): start ISM as an ordinary user.`,
  )
}

export function unprivilegedUser(passwd: string): User {
  const users = new Map<string, User>()
  for (const line of passwd.split('\n')) {
    const [name = '', , uid, gid] = line.split(':')
    const user = { uid: Number(uid), gid: Number(gid) }
    if (user.uid > 0 && user.gid > 0) users.set(name, user)
  }
  for (const name of PREFERRED) {
    const user = users.get(name)
    if (user) return user
  }
  return OVERFLOW
}
