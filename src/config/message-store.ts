/** Judges `[message_db_config]`: where messages are kept. */
import type { CassandraTls, MessagesConfig } from './config.ts'
import type { Judgement } from './judgement.ts'
import { readPem, warnOfUnused } from './pem.ts'

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
    tls: tls(judgement, directory),
    replication: values.replication,
    initKeyspace: values.with_db_init,
    settleMilliseconds: values.settle_time * 1_000,
  }
}

function credentials(judgement: Judgement): { user: string; password: string } | undefined {
  const { db_user: user, db_password: password } = judgement.values.message_db_config
  requireBoth(judgement, 'db_user', 'db_password')
  return user && password ? { user, password } : undefined
}

function tls(judgement: Judgement, directory: string): CassandraTls {
  const mode = judgement.values.message_db_config.tls
  if (mode !== 'verify') warnOfUnused(judgement, `${SECTION}.tls_ca`, 'tls = "verify" beside it')
  if (mode === 'off') {
    for (const key of ['tls_cert', 'tls_key']) warnOfUnused(judgement, `${SECTION}.${key}`, 'tls beside it')
  }
  requireBoth(judgement, 'tls_cert', 'tls_key')
  return {
    mode,
    ca: readPem(judgement, `${SECTION}.tls_ca`, 'certificates', directory),
    cert: readPem(judgement, `${SECTION}.tls_cert`, 'certificates', directory),
    key: readPem(judgement, `${SECTION}.tls_key`, 'a private key', directory),
  }
}

function requireContactPoint({ given, problems, values }: Judgement): void {
  const entry = given.get(`${SECTION}.db_url`)
  if (!entry || values.message_db_config.db_url?.length !== 0) return
  problems.push({ key: `${SECTION}.db_url`, source: entry.source, problem: 'is empty', expected: 'at least one host' })
}

type Key = keyof Judgement['values'][typeof SECTION]

function requireBoth({ given, problems, values }: Judgement, one: Key, other: Key): void {
  const [isOne, isOther] = [Boolean(values[SECTION][one]), Boolean(values[SECTION][other])]
  if (isOne === isOther) return
  const [missing, there] = isOne ? [other, one] : [one, other]
  problems.push({
    key: `${SECTION}.${missing}`,
    source: given.get(`${SECTION}.${there}`)?.source ?? '',
    problem: `is missing beside ${there}`,
    expected: 'both of them, or neither',
  })
}
