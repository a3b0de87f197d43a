/** Wake-ups over PostgreSQL's LISTEN and NOTIFY, which tell of changed people, too. */
import type { PostgresConfig } from '../config/config.ts'
import { listen } from '../infra/postgres-listener.ts'
import type { WakeUpHandlers, WakeUps } from './wake-ups.ts'

/** migrations/0003_log_functions.sql notifies it, with the newest event's seq. */
const LOG_CHANNEL = 'ism_log'
/** migrations/0001_social_tables.sql notifies it, with the person's id. */
const USER_CHANNEL = 'ism_user'

export type PostgresWakeUpHandlers = WakeUpHandlers & { userChanged(userId: string): void }

export function openPostgresWakeUps(config: PostgresConfig, handlers: PostgresWakeUpHandlers): WakeUps {
  const listener = listen(config, [LOG_CHANNEL, USER_CHANNEL], {
    notified: (channel, payload) =>
      channel === LOG_CHANNEL ? handlers.woken(Number(payload)) : handlers.userChanged(payload),
    connected: () => handlers.connected(),
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
