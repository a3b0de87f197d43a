/** Files of the data directory that only ISM's user may read, and that no reader ever sees half written. */

import { randomBytes } from 'node:crypto'
import { link, open, readFile, rename, rm } from 'node:fs/promises'

export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

export async function replaceFile(file: string, content: string): Promise<void> {
  await rename(await temporaryFile(file, content), file)
}

/** The file's content: `make`'s, or that of another process that was quicker. */
export async function createOnce(file: string, make: () => Promise<string>): Promise<string> {
  const known = await readIfThere(file)
  if (known !== undefined) return known
  const content = await make()
  const temporary = await temporaryFile(file, content)
  try {
    // Unlike rename, link does not replace what is there.
    await link(temporary, file)
    return content
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return await readFile(file, 'utf8')
  } finally {
    await rm(temporary, { force: true })
  }
}

async function temporaryFile(file: string, content: string): Promise<string> {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`
  const handle = await open(temporary, 'wx', 0o600)
  try {
    await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
  return temporary
}
