/** Tries what a configuration names, each on its own and timed: the database, the pictures' directory, the issuer. */
import { access, constants, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Config, ObjectsConfig, TokenIssuerConfig } from '../config/config.ts'
import { oneLine } from './error-report.ts'

export type Check = { name: string; ok: boolean; milliseconds: number; detail: string }

export async function checkConnections(config: Config): Promise<Check[]> {
  const { checkPostgres } = await import('../infra/postgres.ts')
  return Promise.all([
    timed('PostgreSQL', () => checkPostgres(config.postgres)),
    timed('object directory', () => checkDirectory(config.objects)),
    timed('token issuer', () => checkIssuer(config.tokenIssuer)),
  ])
}

async function timed(name: string, attempt: () => Promise<string>): Promise<Check> {
  const started = performance.now()
  const outcome = await attempt().then(
    (detail) => ({ ok: true, detail }),
    (error: unknown) => ({ ok: false, detail: oneLine(error) }),
  )
  return { name, ...outcome, milliseconds: Math.round(performance.now() - started) }
}

async function checkDirectory({ directory }: ObjectsConfig): Promise<string> {
  const found = await stat(directory).catch(() => undefined)
  if (found && !found.isDirectory()) throw new Error(`${directory} is no directory`)
  if (!found) {
    await access(await nearestExisting(dirname(directory)), constants.W_OK | constants.X_OK)
    return `${directory} will be made`
  }
  const probe = join(directory, `.check-${process.pid}`)
  await writeFile(probe, '')
  await rm(probe)
  return `${directory} is writable`
}

async function nearestExisting(directory: string): Promise<string> {
  const isThere = await stat(directory).then(
    (found) => found.isDirectory(),
    () => false,
  )
  return isThere || dirname(directory) === directory ? directory : nearestExisting(dirname(directory))
}

async function checkIssuer(config: TokenIssuerConfig): Promise<string> {
  const { fetchKeySet } = await import('../auth/provider-documents.ts')
  const { keys } = await fetchKeySet(config, new AbortController().signal)
  if (keys.length === 0) throw new Error(`${config.issuer} has no keys`)
  return `${config.issuer} has ${keys.length} ${keys.length === 1 ? 'key' : 'keys'}`
}
