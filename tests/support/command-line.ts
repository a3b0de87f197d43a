/** `ism` inside the test's process: arguments and surroundings in, exit code and output out. */
import { EventEmitter } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { onTestFinished } from 'vitest'
import { main } from '../../src/cli/main.ts'
import type { TestIsm } from './ism.ts'

export type Outcome = { code: number; stdout: string; stderr: string }

export async function ism(
  argv: readonly string[],
  {
    cwd = tmpdir(),
    env = {},
    stdin = '',
    isTerminal = false,
  }: { cwd?: string; env?: Record<string, string>; stdin?: string; isTerminal?: boolean } = {},
): Promise<Outcome> {
  const written = { stdout: '', stderr: '' }
  const output = (name: keyof typeof written) => ({
    isTTY: isTerminal,
    write(text: string) {
      written[name] += text
    },
  })
  const signals = new EventEmitter()
  const code = await main(argv, {
    stdout: output('stdout'),
    stderr: output('stderr'),
    stdin: Readable.from([Buffer.from(stdin)]),
    env,
    cwd,
    signals,
  })
  return { code, ...written }
}

/** A directory with these files, removed after the test. */
export async function directoryWith(files: Record<string, string> = {}): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'ism directory '))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(directory, name)), { recursive: true })
    await writeFile(join(directory, name), content)
  }
  return directory
}

/** A directory with the configuration of an ISM; `top` and `sections` are more of it, in TOML. */
export function configuredFor(
  { config, issuer }: Pick<TestIsm, 'config' | 'issuer'>,
  { top = '', sections = '' }: { top?: string; sections?: string } = {},
): Promise<string> {
  const { host, port, user, password, database } = config.postgres
  return directoryWith({
    'production.config.toml': `
${top}
[user_db_config]
db_host = "${host}"
db_port = ${port}
db_user = "${user}"
db_password = "${password}"
db_name = "${database}"
[token_issuer]
issuer = "${issuer.url}"
${sections}
`,
  })
}
