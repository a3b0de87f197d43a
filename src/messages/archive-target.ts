/** Holds the archive to one message store: what it has put into one is not in another. */
import type { Queryable } from '../infra/postgres.ts'
import { ARCHIVE } from './archiver.ts'

/**
 * @param store a name that tells this store from every other one
 * @throws Error where messages were archived in another store
 */
export async function adoptMessageStore(db: Queryable, store: string): Promise<void> {
  const [adopted] = await db.query(
    'messages.adopt-store',
    `update event_log l set message_store = $1
    where l.message_store is null or l.message_store = $1 or not case l.message_store
      when 'PostgreSQL' then exists (select from message)
      else exists (select from projection where name = '${ARCHIVE}' and seq > 0) end
    returning 1`,
    [store],
  )
  if (adopted) return
  const [log] = await db.query<{ store: string }>('messages.store-of', 'select message_store as store from event_log')
  throw new Error(
    `the messages of this database are in ${log?.store}, and the configuration names ${store}: ` +
      'they would be missing from every timeline. Name the store that has them in [message_db_config].',
  )
}
