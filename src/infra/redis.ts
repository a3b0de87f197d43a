/** Redis: how ISM connects to it. Its address is a secret, so no error of ISM's own names it. */
import { createClient } from 'redis'

export type RedisClient = ReturnType<typeof openRedis>

const CONNECT_TIMEOUT_MS = 5_000
const PING_MS = 5_000
/** A server that answers no ping for as long is given up; above PING_MS, or a quiet connection would be. */
const SILENCE_MS = 10_000
const RETRY_MS = 1_000

/** Connects by itself once `connect` was called, and comes back by itself; while it is away commands fail at once. */
export function openRedis(url: string) {
  return createClient({
    url,
    name: 'ism',
    disableOfflineQueue: true,
    pingInterval: PING_MS,
    // Node-redis takes TLS from the url's scheme.
    socket: { connectTimeout: CONNECT_TIMEOUT_MS, socketTimeout: SILENCE_MS, reconnectStrategy: () => RETRY_MS },
  })
}

/** @throws Error where the server cannot be reached, refuses the log-in, or has no publish and subscribe for it */
export async function checkRedis(url: string): Promise<string> {
  const client = createClient({
    url,
    name: 'ism',
    disableOfflineQueue: true,
    socket: { connectTimeout: CONNECT_TIMEOUT_MS, socketTimeout: CONNECT_TIMEOUT_MS, reconnectStrategy: false },
  })
  client.on('error', () => {})
  await client.connect()
  try {
    await client.subscribe('ism:check', () => {})
    await client.publish('ism:check', '')
    const version = /^redis_version:(\S+)/m.exec(await client.info('server').catch(() => ''))?.[1]
    return version === undefined ? 'Redis' : `Redis ${version}`
  } finally {
    client.destroy()
  }
}
