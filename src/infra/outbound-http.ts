/** POST to receivers that others name: no redirect, no proxy, bounded in time and size, no private address unless allowed. */
import { lookup } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { Agent, buildConnector, request } from 'undici'
import { isPrivateHost, isPublicAddress } from '../shared/public-address.ts'
import { createLookUps, type Resolve } from './look-ups.ts'

export type OutboundOptions = {
  /** Loopback, private networks and the like, too. */
  allowPrivate: boolean
  /** For everything from the look-up of the name to the end of the answer. */
  timeoutMs: number
  /** Of an answer's body, which nobody reads; the connection ends where there is more. */
  maxResponseBytes: number
}

export type OutboundAnswer = {
  status: number
  /** What `Retry-After` asks for. */
  retryAfterSeconds: number | undefined
}

export type OutboundHttp = {
  /** @throws Error where there was no answer; its message tells no secret and no address */
  post(
    url: string,
    headers: Record<string, string>,
    body: Buffer | string,
    signal?: AbortSignal,
  ): Promise<OutboundAnswer>
  /** Abandons what runs. */
  close(): Promise<void>
}

export const MAX_REQUEST_BYTES = 4 * 1024 * 1024
const PRIVATE = 'its address is not public, and allow_private is not set'

/** Of the whole process, as libuv's threads are. */
const lookUps = createLookUps(lookup)

export function createOutboundHttp(options: OutboundOptions, resolve: Resolve = lookUps): OutboundHttp {
  const { timeoutMs, allowPrivate } = options
  const agent = new Agent({
    connect: { timeout: timeoutMs, lookup: lookupFor(allowPrivate, resolve) },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    pipelining: 1,
  })
  return {
    async post(url, headers, body, signal) {
      // A literal address is not looked up.
      if (!allowPrivate && isPrivateHost(new URL(url).hostname)) throw new Error(PRIVATE)
      if (Buffer.byteLength(body) > MAX_REQUEST_BYTES) throw new Error('the request is too large')
      const deadline = within(timeoutMs, signal)
      try {
        const answer = await request(url, { method: 'POST', headers, body, dispatcher: agent, signal: deadline.signal })
        // Whatever becomes of the body, the answer is known.
        await answer.body.dump({ limit: options.maxResponseBytes, signal: deadline.signal }).catch(() => {})
        return { status: answer.statusCode, retryAfterSeconds: retryAfter(answer.headers['retry-after']) }
      } catch (error) {
        throw new Error(deadline.reason() ?? noAnswer(error, timeoutMs))
      } finally {
        deadline.clear()
      }
    },
    close: () => agent.destroy(),
  }
}

/**
 * Connects, with TLS where the URL says so, and sends nothing.
 * @throws Error as `post` does
 */
export async function tryReceiver(
  url: string,
  { allowPrivate, timeoutMs }: Omit<OutboundOptions, 'maxResponseBytes'>,
  resolve: Resolve = lookUps,
): Promise<void> {
  const { protocol, hostname, host, port } = new URL(url)
  if (!allowPrivate && isPrivateHost(hostname)) throw new Error(PRIVATE)
  const connect = buildConnector({ timeout: timeoutMs, lookup: lookupFor(allowPrivate, resolve) })
  await new Promise<void>((connected, reject) => {
    const name = hostname.replace(/^\[(.*)\]$/, '$1')
    connect(
      { protocol, hostname: name, host, port: port || (protocol === 'https:' ? '443' : '80') },
      (error, socket) => {
        socket?.destroy()
        if (error) reject(new Error(noAnswer(error, timeoutMs)))
        else connected()
      },
    )
  })
}

/** The addresses that it gives are the ones connected to, so a name cannot change its mind in between. */
function lookupFor(allowPrivate: boolean, resolve: Resolve): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, [])
      const addresses = allowPrivate ? found : found.filter(({ address }) => isPublicAddress(address))
      const [first] = addresses
      if (!first) return callback(new PrivateAddressError(PRIVATE), [])
      if (options.all) callback(null, addresses)
      else callback(null, first.address, first.family)
    })
  }
}

class PrivateAddressError extends Error {}

function noAnswer(error: unknown, timeoutMs: number): string {
  if (error instanceof PrivateAddressError) return error.message
  const { code, name } = error as NodeJS.ErrnoException
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return tooSlow(timeoutMs)
  if (code === 'UND_ERR_DESTROYED') return 'given up'
  // Its words may name addresses or quote the other side; the code says enough.
  return `no answer (${code ?? name})`
}

const tooSlow = (timeoutMs: number) => `no answer within ${timeoutMs} ms`

function within(timeoutMs: number, outer: AbortSignal | undefined) {
  const controller = new AbortController()
  const abort = (reason: string) => controller.abort(new Error(reason))
  const giveUp = () => abort('given up')
  const timer = setTimeout(() => abort(tooSlow(timeoutMs)), timeoutMs)
  if (outer?.aborted) giveUp()
  outer?.addEventListener('abort', giveUp)
  return {
    signal: controller.signal,
    reason: (): string | undefined => (controller.signal.aborted ? controller.signal.reason.message : undefined),
    clear() {
      clearTimeout(timer)
      outer?.removeEventListener('abort', giveUp)
    },
  }
}

/** RFC 9110, 10.2.3: seconds, or a date. */
function retryAfter(header: string | string[] | undefined): number | undefined {
  const text = Array.isArray(header) ? header[0] : header
  if (text === undefined) return undefined
  if (/^\d{1,9}$/.test(text.trim())) return Number(text)
  // Date.parse takes a number for a year.
  const time = /^[A-Za-z]/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(time) ? undefined : Math.max(0, Math.ceil((time - Date.now()) / 1_000))
}
