/** Wake-ups over Redis' publish and subscribe, on a channel of the log's own: databases may share a server. */
import { openRedis } from '../infra/redis.ts'
import type { WakeUpHandlers, WakeUps } from './wake-ups.ts'

/** From a refused subscription to the next try: somebody may allow it, and the connection stays as it is. */
const RETRY_MS = 1_000

export type RedisWakeUps = WakeUps & {
  /** Rejects where Redis does not answer, or does not let this node listen. */
  check(): Promise<void>
}

/** Does not wait for Redis: it may be down. */
export function openRedisWakeUps(url: string, epoch: string, handlers: WakeUpHandlers): RedisWakeUps {
  const channel = `ism:log:${epoch}`
  const client = openRedis(url)
  let subscribed = false
  let closed = false
  let newest = 0
  let publishing = false
  let retry: NodeJS.Timeout | undefined

  const hear = (seq: string) => handlers.woken(Number(seq))

  async function ready(): Promise<void> {
    clearTimeout(retry)
    try {
      // A connection that comes back has its subscription already; once more changes nothing.
      await client.subscribe(channel, hear)
      subscribed = true
      handlers.connected()
    } catch (error) {
      lost(error as Error)
      // Where the connection broke, the next one is ready by itself.
      if (!closed) retry = setTimeout(() => client.isReady && void ready(), RETRY_MS)
    }
  }

  function lost(error: Error): void {
    subscribed = false
    if (!closed) handlers.failed(error)
  }

  client.on('ready', () => void ready())
  client.on('error', lost)
  client.connect().catch(() => {}) // It was told to 'error', and goes on trying.

  /** One word at a time: while it is on its way, only the newest is worth the next. */
  async function publishNewest(): Promise<void> {
    publishing = true
    try {
      for (let said = 0; said < newest; ) {
        said = newest
        await client.publish(channel, String(said))
      }
    } catch {
      // Whoever has not heard polls.
    } finally {
      publishing = false
    }
  }

  return {
    get connected() {
      return subscribed && client.isReady
    },
    publish(seq) {
      if (seq <= newest) return
      newest = seq
      if (!publishing && client.isReady) void publishNewest()
    },
    async check() {
      await client.ping()
      if (!subscribed) throw new Error('Redis refuses the subscription')
    },
    async close() {
      closed = true
      clearTimeout(retry)
      client.destroy()
    },
  }
}
