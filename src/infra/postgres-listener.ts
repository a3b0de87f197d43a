/** LISTEN on a connection of its own, which comes back by itself. */
import pg from 'pg'
import type { PostgresConfig } from '../config/config.ts'
import { clientConfig } from './postgres.ts'

export interface PostgresListener {
  /** Whether what is notified arrives at present. */
  readonly connected: boolean
  close(): Promise<void>
}

export type ListenerHandlers = {
  notified(channel: string, payload: string): void
  /** Called at each connection: whatever was notified while there was none is lost. */
  connected(): void
  /** The connection does not answer: what is notified from here on, or was a moment ago, may come late or never. */
  silent(): void
  failed(error: Error): void
}

const RETRY_MS = 1_000
/** From an answer to the next probe: a listener may hear nothing for hours, whether its network works or not. */
const PROBE_MS = 250
/** A probe unanswered for so long: others have to look themselves. With the above, they know within 650 ms. */
const SILENT_MS = 400
/** And for so long: this connection is given up. */
const GIVE_UP_MS = 10_000
/** A server that does not answer does not close either. */
const END_MS = 500

/** Behind a transaction pooler there is no session to listen in: nothing is ever notified. */
export function listen(config: PostgresConfig, channels: string[], handlers: ListenerHandlers): PostgresListener {
  if (config.transactionPooler) return { connected: false, close: async () => {} }
  let client: pg.Client | undefined
  let timer: NodeJS.Timeout | undefined
  let connected = false
  let answers = false
  let closed = false

  async function connect(): Promise<void> {
    const next = new pg.Client({ ...clientConfig(config), application_name: 'ism listener', query_timeout: GIVE_UP_MS })
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
    answers = true
    handlers.connected()
    probeLater(next)
  }

  function probeLater(which: pg.Client): void {
    timer = setTimeout(() => void probe(which), PROBE_MS)
    timer.unref()
  }

  /** What was notified before the answer has come before it, however late that is. */
  async function probe(which: pg.Client): Promise<void> {
    let answered = false
    // An answer that has come while this process was busy is read first.
    const silence = setTimeout(() => setImmediate(() => !answered && doubt(which)), SILENT_MS)
    silence.unref()
    try {
      await which.query('select 1')
    } catch (error) {
      lost(which, error as Error)
      return
    } finally {
      answered = true
      clearTimeout(silence)
    }
    if (client !== which) return
    answers = true
    probeLater(which)
  }

  function doubt(which: pg.Client): void {
    if (client !== which || !connected) return
    answers = false
    handlers.silent()
  }

  function lost(which: pg.Client, error: Error): void {
    if (client !== which) return
    client = undefined
    connected = false
    clearTimeout(timer)
    which.end().catch(() => {})
    if (closed) return
    handlers.failed(error)
    timer = setTimeout(() => void connect(), RETRY_MS)
    timer.unref()
  }

  void connect()
  return {
    get connected() {
      return connected && answers
    },
    async close() {
      closed = true
      connected = false
      clearTimeout(timer)
      const last = client
      client = undefined
      if (!last) return
      await Promise.race([last.end().catch(() => {}), new Promise((resolve) => setTimeout(resolve, END_MS).unref())])
    },
  }
}
