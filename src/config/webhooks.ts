/** Judges `[[webhooks]]`: the receivers that events are posted to. */
import { createHash } from 'node:crypto'
import { isPrivateHost } from '../shared/public-address.ts'
import type { WebhookReceiver } from './config.ts'
import type { GivenList } from './layers.ts'
import type { Problem } from './problem.ts'
import { LISTS, type TableValues } from './schema.ts'
import { nearest } from './suggestion.ts'

const LIST = 'webhooks'
const { keys } = LISTS[LIST]

type Values = Partial<TableValues<typeof keys>>

/** @param given the tables as they were written, or nothing */
export function judgeWebhooks(
  given: GivenList | undefined,
  { problems, warnings }: { problems: Problem[]; warnings: Problem[] },
): WebhookReceiver[] {
  if (!given) return []
  const { source } = given
  const receivers: WebhookReceiver[] = []
  const [placeOfName, placeOfUrl] = [new Map<string, string>(), new Map<string, string>()]
  for (const [index, table] of given.tables.entries()) {
    const place = `${LIST}[${index + 1}]`
    const report = (to: Problem[], key: string, problem: string, expected: string) =>
      to.push({ key: `${place}.${key}`, source, problem, expected })
    const { url, secret, events, ...values } = parsed(table, (...problem) => report(problems, ...problem))
    if (url === undefined) continue
    const { hostname, protocol, href } = new URL(url)
    const name = values.name ?? nameFor(url)
    const allowPrivate = values.allow_private ?? false
    if (!allowPrivate && isPrivateHost(hostname)) {
      report(problems, 'url', 'names an address that is not public', 'a public one, or allow_private = true beside it')
    } else if (!allowPrivate && protocol === 'http:') {
      report(warnings, 'url', 'is not encrypted: what is said in rooms travels in the open', 'https://')
    }
    const sameUrl = placeOfUrl.get(href)
    const sameName = placeOfName.get(name)
    if (sameUrl !== undefined) {
      report(problems, 'url', `is also that of ${sameUrl}`, 'one entry for each receiver, with all of its events')
    } else if (sameName !== undefined) {
      report(problems, 'name', `is also that of ${sameName}`, 'a name of its own')
    }
    placeOfUrl.set(href, place)
    placeOfName.set(name, place)
    if (secret && events) {
      const timeoutMs = (values.timeout ?? keys.timeout.default) * 1_000
      receivers.push({ name, url, secrets: secret, events, allowPrivate, timeoutMs })
    }
  }
  return receivers
}

/** The host, and a hash of what follows it, which may hold a secret. */
function nameFor(url: string): string {
  const { host, pathname, search } = new URL(url)
  const rest = `${pathname}${search}`
  return rest === '/' ? host : `${host}-${createHash('sha256').update(rest).digest('hex').slice(0, 8)}`
}

/** What is wrong or missing is `undefined`, and reported. */
function parsed(
  table: Record<string, unknown>,
  report: (key: string, problem: string, expected: string) => void,
): Values {
  const values: Record<string, unknown> = {}
  for (const written of Object.keys(table)) {
    if (Object.hasOwn(keys, written)) continue
    const meant = nearest(written, Object.keys(keys))
    report(written, `is no known key${meant === undefined ? '' : ` (did you mean ${meant}?)`}`, `a key of [[${LIST}]]`)
  }
  for (const [key, { type, ...spec }] of Object.entries(keys)) {
    if (!Object.hasOwn(table, key)) {
      if ('required' in spec) report(key, 'is missing', type.expected)
      continue
    }
    const result = type.parse(table[key])
    if ('problem' in result) report(key, result.problem, type.expected)
    else if (Array.isArray(result.value) && result.value.length === 0) report(key, 'is empty', type.expected)
    else values[key] = result.value
  }
  // Each was parsed by the type that TableValues takes it from.
  return values as Values
}
