/** LISTEN on a connection of its own, which comes back by itself. */
import pg from 'pg'
import type { PostgresConfig } from '../config/config.ts'
import { clientConfig } from './postgres.ts'

export interface PostgresListener {
  readonly connected: boolean
  close(): Promise<void>
}

export type ListenerHandlers = {
  notified(channel: string, payload: string): void
  /** Called at each connection: whatever was notified while there was none is lost. */
  connected(): void
  failed(error: Error): void
}

const RETRY_MS = 1_000
/** A listener hears nothing for hours; this tells a silent network from a silent database. */
const PROBE_MS = 10_000

/** Behind a transaction pooler there is no session to listen in: nothing is ever notified. */
export function listen(config: PostgresConfig, channels: string[], handlers: ListenerHandlers): PostgresListener {
  if (config.transactionPooler) return { connected: false, close: async () => {} }
  let client: pg.Client | undefined
  let timer: NodeJS.Timeout | undefined
  let connected = false
  let closed = false

  async function connect(): Promise<void> {
    const next = new pg.Client({ ...clientConfig(config), application_name: 'ism listener', query_timeout: PROBE_MS })
    client = next
    next.on('error', (error) => lost(next, error))
    next.on('end', () => lost(next, new Error('The connection ended.')))
    next.on('notification', ({ channel, payload }) => handlers.notified(channel, payload ?? ''))
    try {
      await next.connect()
      await next.query(channels.map((channel) => `listen ${pg.escapeIdentifier(channel)}`).join(';'))
    } catch (error) {
      lost(next, error as Error)
      return
    }
    if (client !== next) return
    connected = true
    handlers.connected()
    timer = setInterval(() => next.query('select 1').catch((error: Error) => lost(next, error)), PROBE_MS)
    timer.unref()
  }

  function lost(which: pg.Client, error: Error): void {
    if (client !== which) return
    client = undefined
    connected = false
    clearInterval(timer)
    which.end().catch(() => {})
    if (closed) return
    handlers.failed(error)
    timer = setTimeout(() => void connect(), RETRY_MS)
    timer.unref()
  }

  void connect()
  return {
    get connected() {
      return connected
    },
    async close() {
      closed = true
      connected = false
      clearInterval(timer)
      const last = client
      client = undefined
      await last?.end().catch(() => {})
    },
  }
}
