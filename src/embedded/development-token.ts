/** A token of the development issuer, whether ISM runs, has run, or never ran on the data directory. */

import { openDataDirectory, readable } from './data-directory.ts'
import { signToken } from './issuer.ts'
import { person } from './people.ts'

export type DevelopmentTokenOptions = {
  dataDirectory: string
  name: string
  /** Remembered; a later one takes its place. */
  displayName?: string | undefined
  expiresSeconds: number
}

export async function developmentToken(options: DevelopmentTokenOptions): Promise<{ token: string; userId: string }> {
  const directory = await openDataDirectory(options.dataDirectory)
  const found = await person(directory, options.name, options.displayName)
  const token = await signToken(directory, found, options.expiresSeconds).catch(readable(directory))
  return { token, userId: found.id }
}
