/** The kinds of value that a key may have: how each is read from TOML or from an environment variable's text. */
import { isIP } from 'node:net'
import { nearest } from './suggestion.ts'

export type Parsed<T> = { value: T } | { problem: string }

export type ValueType<T> = {
  /** Completes "expected …". */
  expected: string
  parse(raw: unknown): Parsed<T>
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f]/

function parseText(raw: unknown): Parsed<string> {
  if (typeof raw !== 'string') return { problem: `is ${kindOf(raw)}, not a text in quotes` }
  if (CONTROL_CHARACTER.test(raw)) return { problem: 'holds a line break or another control character' }
  return { value: raw }
}

function kindOf(raw: unknown): string {
  if (Array.isArray(raw)) return 'a list'
  if (raw instanceof Date) return 'a date'
  if (typeof raw === 'object') return 'a table'
  if (typeof raw === 'string') return 'a text'
  return typeof raw === 'boolean' ? 'true or false' : 'a number'
}

/** A type for texts that `problemOf` finds nothing wrong with. */
function textWith(expected: string, problemOf: (text: string) => string | undefined): ValueType<string> {
  return {
    expected,
    parse(raw) {
      const text = parseText(raw)
      if ('problem' in text) return text
      const problem = text.value === '' ? 'is empty' : problemOf(text.value)
      return problem === undefined ? text : { problem }
    },
  }
}

export const text = (expected: string, pattern?: RegExp) =>
  textWith(expected, (value) => (pattern && !pattern.test(value) ? 'has a character that is not allowed' : undefined))

export const possiblyEmptyText = (expected: string): ValueType<string> => ({ expected, parse: parseText })

export function integer(min: number, max: number, unit = ''): ValueType<number> {
  return {
    expected: `a whole number${unit && ` of ${unit}`} from ${min} to ${max}`,
    parse(raw) {
      // What TOML cannot hold exactly arrives as a BigInt.
      if (typeof raw === 'bigint') return { problem: 'is out of range' }
      const value = typeof raw === 'string' && /^\s*[+-]?\d{1,15}\s*$/.test(raw) ? Number(raw) : raw
      if (typeof value !== 'number') {
        return { problem: typeof raw === 'string' ? 'is no whole number' : `is ${kindOf(raw)}, not a whole number` }
      }
      if (!Number.isInteger(value)) return { problem: 'is no whole number' }
      return value < min || value > max ? { problem: `is out of range: ${value}` } : { value }
    },
  }
}

export const boolean: ValueType<boolean> = {
  expected: 'true or false',
  parse(raw) {
    if (typeof raw === 'boolean') return { value: raw }
    const word = typeof raw === 'string' ? raw.trim().toLowerCase() : undefined
    return word === 'true' || word === 'false' ? { value: word === 'true' } : { problem: 'is neither true nor false' }
  },
}

/** One of `values`, in any case; `synonyms` are other spellings, true and false among them. */
export function choice<const T extends string>(
  values: readonly T[],
  synonyms: Readonly<Record<string, T>> = {},
): ValueType<T> {
  return {
    expected: `one of ${values.map((value) => `"${value}"`).join(', ')}`,
    parse(raw) {
      if (typeof raw !== 'string' && typeof raw !== 'boolean') return { problem: `is ${kindOf(raw)}` }
      const word = String(raw).trim().toLowerCase()
      const value = values.find((candidate) => candidate.toLowerCase() === word)
      if (value !== undefined) return { value }
      const synonym = Object.hasOwn(synonyms, word) ? synonyms[word] : undefined
      if (synonym !== undefined) return { value: synonym }
      const meant = nearest(word, values)
      return { problem: `is none of the possible values${meant ? ` (did you mean "${meant}"?)` : ''}` }
    },
  }
}

const HOST_NAME = /^[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_.])?$/i

function hostProblem(host: string): string | undefined {
  if (isIP(host) !== 0 || HOST_NAME.test(host)) return undefined
  if (host.includes('://')) return 'is a URL, not a host'
  return /^[^:]+:\d+$/.test(host) ? 'carries a port' : 'is no host'
}

/** A host to listen on or to connect to; an IPv6 address may stand in brackets. */
export const host: ValueType<string> = (() => {
  const type = textWith('a host name or an IP address', (value) => hostProblem(withoutBrackets(value)))
  return {
    expected: type.expected,
    parse(raw) {
      const parsed = type.parse(raw)
      return 'problem' in parsed ? parsed : { value: withoutBrackets(parsed.value) }
    },
  }
})()

const withoutBrackets = (address: string) => address.replace(/^\[(.*)\]$/, '$1')

export const hostOrSocketDirectory: ValueType<string> = {
  expected: `${host.expected}, or the directory of a Unix socket`,
  parse: (raw) => (typeof raw === 'string' && raw.startsWith('/') ? parseText(raw) : host.parse(raw)),
}

/** `host` or `host:port`; the value always has a port. */
export function hostAndPort(defaultPort: number): ValueType<string> {
  const expected = `a host name or an IP address, with or without :port (IPv6 in brackets; port ${defaultPort} unless given)`
  return {
    expected,
    parse(raw) {
      const parsed = parseText(raw)
      if ('problem' in parsed) return parsed
      const [, bracketed, name, portText = String(defaultPort)] =
        /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(parsed.value) ?? []
      const address = bracketed ?? name
      if (address === undefined)
        return { problem: parsed.value.includes('://') ? 'is a URL, not a host' : 'is no host' }
      const problem = hostProblem(address)
      if (problem !== undefined) return { problem }
      const number = Number(portText)
      if (number < 1 || number > 65_535) return { problem: `has a port that is out of range: ${number}` }
      return { value: `${isIP(address) === 6 ? `[${address}]` : address}:${number}` }
    },
  }
}

/** Replicas: a number for the local datacenter, or `name:number` for each, with commas between them. */
export const replication: ValueType<number | Record<string, number>> = {
  expected: 'a number of replicas from 1 to 99, or one for each datacenter such as "dc1:3, dc2:2"',
  parse(raw) {
    const text = typeof raw === 'number' ? String(raw) : raw
    if (typeof text !== 'string') return { problem: `is ${kindOf(raw)}` }
    if (/^\s*[1-9]\d?\s*$/.test(text)) return { value: Number(text) }
    const replicas = new Map<string, number>()
    for (const item of text.split(',')) {
      const [, datacenter, count] = /^\s*([\w.-]+)\s*:\s*([1-9]\d?)\s*$/.exec(item) ?? []
      if (datacenter === undefined) return { problem: 'is neither a number nor a list of datacenter:number' }
      if (replicas.has(datacenter)) return { problem: 'names a datacenter twice' }
      replicas.set(datacenter, Number(count))
    }
    return { value: Object.fromEntries(replicas) }
  },
}

/** @param options.problem what else is wrong with it */
export function url(
  schemes: readonly string[],
  options: { credentials?: true; problem?: (url: URL) => string | undefined } = {},
): ValueType<string> {
  const forms = schemes.map((scheme) => `${scheme}://`).join(' or ')
  return textWith(`a URL that begins with ${forms}`, (value) => {
    if (!URL.canParse(value)) return 'is no URL'
    const parsed = new URL(value)
    const { protocol, hostname, username, password, hash } = parsed
    if (!schemes.includes(protocol.slice(0, -1)) || hostname === '') return `is no URL that begins with ${forms}`
    if ((username || password) && !options.credentials) return 'carries a user name or a password'
    return hash ? 'has a fragment' : options.problem?.(parsed)
  })
}

/** As node-redis takes it apart, whose own words for what it cannot read name neither the key nor what is wrong. */
export const redisUrl = url(['redis', 'rediss'], {
  credentials: true,
  problem({ username, password, pathname }) {
    if (!isPercentEncoded(username + password))
      return 'has a "%" in its user name or password, which a URL writes as %25'
    return /^\/?\d*$/.test(pathname) ? undefined : 'has a path that is no number of a database'
  },
})

function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

/** A list written as an array, or as one text with commas between its items; what stands twice counts once. */
export function list<T>(expected: string, item: ValueType<T>): ValueType<T[]> {
  return {
    expected,
    parse(raw) {
      const items = itemsOf(raw)
      if ('problem' in items) return items
      const values = new Set<T>()
      for (const [index, one] of items.value.entries()) {
        const parsed = item.parse(one)
        if ('problem' in parsed) return { problem: `item ${index + 1} ${parsed.problem}` }
        values.add(parsed.value)
      }
      return { value: [...values] }
    },
  }
}

function itemsOf(raw: unknown): Parsed<unknown[]> {
  if (Array.isArray(raw)) return { value: raw }
  if (typeof raw === 'number') return { value: [raw] }
  if (typeof raw !== 'string') return { problem: `is ${kindOf(raw)}, not a list` }
  const items = raw.split(',').map((item) => item.trim())
  return { value: items.filter((item) => item !== '') }
}

/** An origin exactly as a browser sends it (RFC 6454, section 6.2). */
export const origin: ValueType<string> = textWith('an origin', (value) => {
  if (value.includes('*')) return 'has a wildcard'
  const scheme = /^([a-z][a-z0-9+.-]*):\/\/[^/?#@\s]+$/.exec(value)?.[1]
  const isWeb = scheme === undefined || scheme === 'http' || scheme === 'https'
  if (!isWeb) return undefined
  // A URL without an origin has the origin "null", which any sandboxed page sends.
  const exact = URL.canParse(value) ? new URL(value).origin : 'null'
  if (exact === value && exact !== 'null') return undefined
  return exact === 'null' ? 'is no origin' : `is no exact origin (did you mean "${exact}"?)`
})

const ASYMMETRIC = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']

/** A signature algorithm whose key for checking cannot be used for signing (RFC 7518, section 3.1; RFC 8037). */
export const signatureAlgorithm: ValueType<string> = textWith(`one of ${ASYMMETRIC.join(', ')}`, (value) => {
  if (ASYMMETRIC.includes(value)) return undefined
  if (/^HS\d+$/i.test(value)) return 'is symmetric: whoever can check such a token can make one'
  return value.toLowerCase() === 'none' ? 'is "none", which signs nothing' : 'is no known signature algorithm'
})

/** Standard Webhooks, "Signature scheme": a symmetric secret is 24 to 64 random bytes in base64 behind `whsec_`. */
export const webhookSecret: ValueType<string> = textWith('"whsec_" and 24 to 64 bytes in base64', (value) => {
  if (!value.startsWith('whsec_')) return 'does not begin with "whsec_"'
  const base64 = value.slice('whsec_'.length)
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return 'is no base64 behind "whsec_"'
  const { length } = Buffer.from(base64, 'base64')
  return length < 24 || length > 64 ? `has ${length} bytes` : undefined
})
