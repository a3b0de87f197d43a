/** What an OpenID provider publishes about itself: its discovery document and its key set. */

import type { JSONWebKeySet } from 'jose'
import type { TokenIssuerConfig } from '../config/config.ts'

const TIMEOUT_MS = 5000
const MAX_BYTES = 1024 * 1024
const WELL_KNOWN = '/.well-known/openid-configuration'

/**
 * The provider's present keys (RFC 7517, section 5), by way of its discovery document (OpenID Connect Discovery 1.0).
 *
 * @throws Error whose message says what is wrong, for the operator; it may name internal addresses
 */
export async function fetchKeySet(config: TokenIssuerConfig, closing: AbortSignal): Promise<JSONWebKeySet> {
  const metadata = await fetchObject(config.discoveryUrl, closing)
  if (!isOfIssuer(metadata['issuer'], config)) {
    const found = JSON.stringify(metadata['issuer'])
    throw new Error(`${config.discoveryUrl} is of the issuer ${found}, the configured one is "${config.issuer}"`)
  }
  const keySet = await fetchObject(jwksUrl(metadata['jwks_uri'], config), closing)
  const keys = keySet['keys']
  if (!Array.isArray(keys)) throw new Error('The key set of the issuer has no keys array')
  // No provider works without: it is on its way up, or something else answers in its place.
  if (keys.length === 0) throw new Error('The issuer publishes no keys')
  return { keys }
}

/**
 * Section 4.3: the document has to be the issuer's own. A provider that takes its name from the request calls itself by
 * the name that ISM reaches it by, which only an operator who configured `discovery_url` can have made another one.
 */
function isOfIssuer(found: unknown, { issuer, discoveryUrl }: TokenIssuerConfig): boolean {
  return found === issuer || (typeof found === 'string' && `${found}${WELL_KNOWN}` === discoveryUrl)
}

/**
 * `jwks_uri` as the document has it, except where ISM reaches the provider by another name than the tokens bear: a
 * provider then still publishes its outside name, which may lead nowhere from here, so that the origin (RFC 6454) of
 * the issuer is replaced by that of `discoveryUrl`. An origin that is neither of the two is the provider's choice.
 */
function jwksUrl(uri: unknown, config: TokenIssuerConfig): string {
  if (typeof uri !== 'string' || !URL.canParse(uri)) throw new Error(`${config.discoveryUrl} has no valid jwks_uri`)
  const url = new URL(uri)
  const reached = new URL(config.discoveryUrl)
  if (url.origin !== new URL(config.issuer).origin || url.origin === reached.origin) return uri
  return `${reached.origin}${url.pathname}${url.search}`
}

async function fetchObject(url: string, closing: AbortSignal): Promise<Record<string, unknown>> {
  let text: string
  try {
    const signal = AbortSignal.any([closing, AbortSignal.timeout(TIMEOUT_MS)])
    const response = await fetch(url, { signal, redirect: 'error', headers: { accept: 'application/json' } })
    if (!response.ok) {
      await response.body?.cancel()
      throw new Error(`HTTP ${response.status}`)
    }
    text = await readText(response)
  } catch (error) {
    throw new Error(`${url} cannot be fetched: ${reasonOf(error)}`, { cause: error })
  }
  const document = parsed(text)
  if (typeof document !== 'object' || document === null) throw new Error(`${url} is not a JSON object`)
  return document as Record<string, unknown>
}

async function readText(response: Response): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let text = ''
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > MAX_BYTES) throw new Error(`more than ${MAX_BYTES} bytes`)
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** fetch hides why a connection failed in the cause of its "fetch failed". */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (!(error.cause instanceof Error)) return error.message
  return error.cause.message || String((error.cause as NodeJS.ErrnoException).code ?? error.message)
}
