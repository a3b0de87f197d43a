/** What `ism send-notification` is given: users and message, from options, files and standard input. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseUuid } from '../shared/ids.ts'
import type { Io } from './io.ts'

export type NotificationInput = { to?: string; toFile?: string; message?: string; messageFile?: string }

/** Lower case, each once. @throws Error that names the first that is no UUID, and its line */
export async function readUsers({ to, toFile }: NotificationInput, io: Io): Promise<string[]> {
  const source = toFile === undefined ? '--to' : toFile
  const text = toFile === undefined ? (to ?? '') : (await contentOf(toFile, io)).toString('utf8')
  const users = new Set<string>()
  for (const [index, line] of text.split('\n').entries()) {
    for (const word of line.replace(/#.*/, '').split(/[\s,]+/)) {
      if (word === '') continue
      const id = parseUuid(word)
      if (!id)
        throw new Error(
          `${source}${toFile === undefined ? '' : `, line ${index + 1}`}: "${word.slice(0, 64)}" is no UUID`,
        )
      users.add(id)
    }
  }
  if (users.size === 0) throw new Error(`${source} names no user`)
  return [...users]
}

/** The message's JSON. @throws Error where it is none, or not what a notification may say */
export async function readMessage({ message, messageFile }: NotificationInput, io: Io): Promise<Buffer> {
  return messageFile === undefined ? Buffer.from(message ?? '') : await contentOf(messageFile, io)
}

async function contentOf(file: string, io: Io): Promise<Buffer> {
  if (file === '-') return await contentOfStdin(io)
  try {
    return await readFile(resolve(io.cwd, file))
  } catch (error) {
    throw new Error(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

async function contentOfStdin({ stdin }: Io): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stdin ?? []) chunks.push(chunk)
  return Buffer.concat(chunks)
}
