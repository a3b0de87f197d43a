/** Tries what a configuration names, each on its own and timed: the database, the pictures' directory, the issuer. */
import { access, constants, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Config, ObjectsConfig, TokenIssuerConfig } from '../config/config.ts'
import { oneLine } from './error-report.ts'

export type Check = { name: string; ok: boolean; milliseconds: number; detail: string }

const FETCH_TIMEOUT_MS = 5_000

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

async function checkIssuer({ issuer, discoveryUrl }: TokenIssuerConfig): Promise<string> {
  const metadata = await fetchJson(discoveryUrl)
  if (metadata['issuer'] !== issuer) {
    throw new Error(`${discoveryUrl} is of another issuer than ${issuer}, whose name tokens must bear`)
  }
  const keysUrl = metadata['jwks_uri']
  if (typeof keysUrl !== 'string') throw new Error(`${discoveryUrl} names no jwks_uri`)
  const { keys } = await fetchJson(keysUrl)
  if (!Array.isArray(keys) || keys.length === 0) throw new Error(`${keysUrl} has no keys`)
  return `${issuer} has ${keys.length} ${keys.length === 1 ? 'key' : 'keys'}`
}

async function fetchJson(url: string): Promise<Record<string, unknown>> {
  const response = await fetch(url, { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) }).catch((error: Error) => {
    throw new Error(`${url} cannot be reached: ${oneLine(error.cause ?? error)}`)
  })
  if (!response.ok) throw new Error(`${url} answers ${response.status}`)
  const body: unknown = await response.json().catch(() => undefined)
  if (typeof body !== 'object' || body === null) throw new Error(`${url} answers no JSON object`)
  return body as Record<string, unknown>
}
