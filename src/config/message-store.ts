/** Judges `[message_db_config]`: where messages are kept. */
import type { MessagesConfig } from './config.ts'
import type { Judgement } from './judgement.ts'
import { judgeTls } from './tls.ts'
import { requireBoth } from './together.ts'

const SECTION = 'message_db_config'

/** Messages are in PostgreSQL where there is no such section. */
export function judgeMessageStore(judgement: Judgement, directory: string): MessagesConfig {
  if (!judgement.sections.has(SECTION)) return { provider: 'postgres' }
  const values = judgement.values.message_db_config
  requireContactPoint(judgement)
  return {
    provider: 'cassandra',
    contactPoints: values.db_url,
    localDatacenter: values.local_datacenter,

    keyspace: values.db_keyspace,
    credentials: credentials(judgement),
    consistency: values.consistency,
    tls: judgeTls(judgement, SECTION, directory),
    replication: values.replication,
    initKeyspace: values.with_db_init,
    settleMilliseconds: values.settle_time * 1_000,
  }
}

function credentials(judgement: Judgement): { user: string; password: string } | undefined {
  const { db_user: user, db_password: password } = judgement.values.message_db_config
  requireBoth(judgement, SECTION, 'db_user', 'db_password')
  return user && password ? { user, password } : undefined
}

function requireContactPoint({ given, problems, values }: Judgement): void {
  const entry = given.get(`${SECTION}.db_url`)
  if (!entry || values.message_db_config.db_url?.length !== 0) return
  problems.push({ key: `${SECTION}.db_url`, source: entry.source, problem: 'is empty', expected: 'at least one host' })
}
