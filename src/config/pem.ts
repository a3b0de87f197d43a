/** Reads a PEM file that a key of the configuration names. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Judgement } from './judgement.ts'

const CHECKS = {
  certificates: (pem: string) => void new X509Certificate(pem),
  'a private key': (pem: string) => void createPrivateKey(pem),
}

/** The text of the file that `key` names; `undefined` where none is given, or with a problem where it is no such file. */
export function readPem(
  { given, problems }: Judgement,
  key: string,
  holds: keyof typeof CHECKS,
  directory: string,
): string | undefined {
  const entry = given.get(key)
  if (!entry || typeof entry.value !== 'string' || entry.value === '') return undefined
  try {
    const pem = readFileSync(resolve(directory, entry.value), 'utf8')
    CHECKS[holds](pem)
    return pem
  } catch (error) {
    const { code = '', syscall } = error as NodeJS.ErrnoException
    const problem = syscall === undefined ? `is no PEM file with ${holds}` : `cannot be read (${code})`
    problems.push({ key, source: entry.source, problem, expected: `the path of a readable PEM file with ${holds}` })
    return undefined
  }
}

/** Says that a key has no effect, where it is given. */
export function warnOfUnused({ given, warnings }: Judgement, key: string, expected: string): void {
  const entry = given.get(key)
  if (entry) warnings.push({ key, source: entry.source, problem: 'is not used', expected })
}
