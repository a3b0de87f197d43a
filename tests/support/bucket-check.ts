/** What `ism check-config --connect` says of a bucket. */
import { expect } from 'vitest'
import { directoryWith, ism } from './command-line.ts'

/** Its line in words, and whether it is one of success. @param section `[object_db_config]` */
export async function checkBucketOf(section: Record<string, string | boolean>): Promise<string> {
  const lines = Object.entries(section).map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
  const file = `
[user_db_config]
db_host = "127.0.0.1"
db_port = 1
db_user = "ism"
db_password = ""
db_name = "ism"
[token_issuer]
issuer = "http://127.0.0.1:1"
[object_db_config]
${lines.join('\n')}
`
  const cwd = await directoryWith({ 'production.config.toml': file })
  const { stdout, stderr } = await ism(['--debug', 'check-config', '--connect'], { cwd })
  expect(stdout + stderr).not.toContain(section['db_password'])
  expect(stdout + stderr).not.toContain('Signature')
  const [, outcome, detail] = /^(ok|failed) +object store +\d+ ms +(.*)$/m.exec(stdout) ?? []
  return `${outcome}: ${detail}`
}
