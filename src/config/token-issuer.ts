/** Judges `[token_issuer]`: the one issuer that its keys name, in either of the two ways. */
import type { TokenIssuerConfig } from './config.ts'
import type { Judgement } from './judgement.ts'
import type { Problem } from './problem.ts'

const WAYS = 'issuer, or iss_host and iss_realm'

/** `undefined` where the section names no issuer; there is a problem that says why. */
export function judgeTokenIssuer(judgement: Judgement, complete: boolean): TokenIssuerConfig | undefined {
  const issuer = issuerOf(judgement, complete)
  if (issuer === undefined) return undefined
  const values = judgement.values.token_issuer
  warnOfBaseUrl(judgement)
  return {
    issuer,
    // OpenID Connect Discovery 1.0, section 4: a final slash is removed before the path is appended.
    discoveryUrl: values.discovery_url ?? `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`,
    audience: values.audience,
    algorithms: values.algorithms,
    leewaySeconds: values.clock_leeway,
    mapSubjects: values.map_subjects,
    keyCooldownSeconds: values.key_cooldown,
    allowQueryToken: values.allow_query_token,
  }
}

function issuerOf({ given, sections, values, problems }: Judgement, complete: boolean): string | undefined {
  const source = sections.get('token_issuer')
  if (source === undefined) return undefined
  const issuer = given.get('token_issuer.issuer')
  const host = given.get('token_issuer.iss_host')
  const realm = given.get('token_issuer.iss_realm')
  const report = (key: string, problem: string, expected: string, where = source) =>
    problems.push({ key: `token_issuer.${key}`, source: where, problem, expected } satisfies Problem)

  if (values.token_issuer.algorithms?.length === 0) {
    report('algorithms', 'is empty', 'at least one algorithm', given.get('token_issuer.algorithms')?.source)
  }
  if (issuer && (host || realm)) {
    report('issuer', `stands beside ${host ? 'iss_host' : 'iss_realm'}`, `either ${WAYS}`, issuer.source)
    return undefined
  }
  if (issuer) return values.token_issuer.issuer
  if (host && realm) {
    const { iss_host: root, iss_realm: name } = values.token_issuer
    return root === undefined || name === undefined ? undefined : `${root.replace(/\/+$/, '')}/realms/${name}`
  }
  if (complete) {
    const missing = host ? 'iss_realm' : realm ? 'iss_host' : 'issuer'
    report(missing, 'is missing', WAYS)
  }
  return undefined
}

function warnOfBaseUrl({ given, values, warnings }: Judgement): void {
  const entry = given.get('token_issuer.discovery_url')
  const url = values.token_issuer.discovery_url
  if (!entry || url === undefined || new URL(url).pathname.includes('/.well-known/')) return
  warnings.push({
    key: 'token_issuer.discovery_url',
    source: entry.source,
    problem: 'does not look like the URL of the metadata document itself',
    expected: 'a URL that ends in /.well-known/openid-configuration',
  })
}
