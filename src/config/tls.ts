/** Judges the TLS keys of a section: `tls`, `tls_ca`, `tls_cert` and `tls_key`. */
import type { TlsConfig } from './config.ts'
import type { Judgement } from './judgement.ts'
import { readPem, warnOfUnused } from './pem.ts'
import { requireBoth } from './together.ts'

export function judgeTls(
  judgement: Judgement,
  section: 'message_db_config' | 'kafka_config',
  directory: string,
): TlsConfig {
  const mode = judgement.values[section].tls
  if (mode !== 'verify') warnOfUnused(judgement, `${section}.tls_ca`, 'tls = "verify" beside it')
  if (mode === 'off') {
    for (const key of ['tls_cert', 'tls_key']) warnOfUnused(judgement, `${section}.${key}`, 'tls beside it')
  }
  requireBoth(judgement, section, 'tls_cert', 'tls_key')
  return {
    mode,
    ca: readPem(judgement, `${section}.tls_ca`, 'certificates', directory),
    cert: readPem(judgement, `${section}.tls_cert`, 'certificates', directory),
    key: readPem(judgement, `${section}.tls_key`, 'a private key', directory),
  }
}
