/** Wake-ups over PostgreSQL's LISTEN and NOTIFY, which tell of changed people and used tickets, too. */
import type { PostgresConfig } from '../config/config.ts'
import { listen } from '../infra/postgres-listener.ts'
import type { WakeUpHandlers, WakeUps } from './wake-ups.ts'

/** migrations/0003_log_functions.sql notifies it, with the newest event's seq. */
const LOG_CHANNEL = 'ism_log'
/** migrations/0001_social_tables.sql notifies it, with the person's id. */
const USER_CHANNEL = 'ism_user'
/** src/streams/ticket-repository.ts notifies it: a ticket's hash and the number of its newest stream. */
export const TICKET_CHANNEL = 'ism_ticket'

export type PostgresWakeUpHandlers = WakeUpHandlers & {
  userChanged(userId: string): void
  ticketUsed(ticket: string): void
  /** Nothing may be heard at present, nor was a moment ago. */
  silent(): void
}

export function openPostgresWakeUps(config: PostgresConfig, handlers: PostgresWakeUpHandlers): WakeUps {
  const heard: Record<string, (payload: string) => void> = {
    [LOG_CHANNEL]: (seq) => handlers.woken(Number(seq)),
    [USER_CHANNEL]: (userId) => handlers.userChanged(userId),
    [TICKET_CHANNEL]: (ticket) => handlers.ticketUsed(ticket),
  }
  const listener = listen(config, Object.keys(heard), {
    notified: (channel, payload) => heard[channel]?.(payload),
    connected: () => handlers.connected(),
    silent: () => handlers.silent(),
    failed: (error) => handlers.failed(error),
  })
  return {
    get connected() {
      return listener.connected
    },
    /** Whatever appends has notified already, with its own commit. */
    publish() {},
    close: () => listener.close(),
  }
}
