/** The development users: a name each, with the id and display name that its tokens bear. Made on first use. */

import { randomUUID } from 'node:crypto'
import { type DataDirectory, readable } from './data-directory.ts'
import { lockAsOwner } from './owner-lock.ts'
import { readIfThere, replaceFile } from './private-file.ts'

export type Person = { name: string; id: string; displayName: string }

type Stored = Record<string, { id: string; displayName?: string }>

const LONGEST_NAME = 100
const PATIENCE_MILLISECONDS = 10_000

/** A display name that is given is kept; without one the last that was given stays, or else the name itself. */
export async function person(directory: DataDirectory, name: string, displayName?: string): Promise<Person> {
  requireName('NAME', name)
  if (displayName !== undefined) requireName('The display name', displayName)
  const known = (await readPeople(directory).catch(readable(directory))).get(name)
  if (known && (displayName === undefined || known.displayName === displayName)) return shown(name, known)
  const lock = await lockAsOwner(
    directory.peopleLock,
    PATIENCE_MILLISECONDS,
    (pid) => new Error(`${directory.people} is locked by process ${pid}.`),
  ).catch(readable(directory))
  try {
    const people = await readPeople(directory)
    const id = people.get(name)?.id ?? randomUUID()
    const kept = displayName ?? people.get(name)?.displayName
    const entry = kept === undefined ? { id } : { id, displayName: kept }
    people.set(name, entry)
    await replaceFile(directory.people, `${JSON.stringify(Object.fromEntries(people), undefined, 2)}\n`)
    return shown(name, entry)
  } finally {
    await lock.release()
  }
}

const shown = (name: string, { id, displayName }: Stored[string]): Person => ({
  name,
  id,
  displayName: displayName ?? name,
})

function requireName(what: string, text: string): void {
  const length = [...text].length
  if (length < 1 || length > LONGEST_NAME || text.trim() === '')
    throw new Error(`${what} must have 1 to ${LONGEST_NAME} characters, not only spaces.`)
  if (/\p{Cc}|\p{Cs}/u.test(text)) throw new Error(`${what} must not hold control characters.`)
}

async function readPeople(directory: DataDirectory): Promise<Map<string, Stored[string]>> {
  const text = await readIfThere(directory.people)
  if (text === undefined) return new Map()
  try {
    return new Map(Object.entries(JSON.parse(text) as Stored))
  } catch {
    throw new Error(`${directory.people} is damaged: mend it, or remove it to begin with new users.`)
  }
}
