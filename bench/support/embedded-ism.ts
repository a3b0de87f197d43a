/** ISM as `ism serve` runs it, on the embedded default's PostgreSQL and issuer, with people and rooms to load it with. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { ensureBuilt } from '../../bin/build.js'
import type { Config } from '../../src/config/config.ts'
import { openDataDirectory } from '../../src/embedded/data-directory.ts'
import { developmentToken } from '../../src/embedded/development-token.ts'
import { signToken } from '../../src/embedded/issuer.ts'
import { startEmbedded } from '../../src/embedded/start.ts'

export type BenchPerson = { id: string; token: string }

export type EmbeddedIsm = {
  port: number
  pid: number
  /** PostgreSQL's postmaster. */
  postgresPid: number
  connect(): Promise<pg.Client>
  people(count: number): Promise<BenchPerson[]>
  /** A token for a row of app_user that the caller makes. */
  tokenOf(id: string, displayName: string): Promise<string>
  stop(): Promise<void>
}

const BINARY = fileURLToPath(new URL('../../bin/ism.js', import.meta.url))

/**
 * @param nodeOptions for the process of ISM, such as `--cpu-prof`
 * @param sections more of its configuration, in TOML
 */
export async function startEmbeddedIsm(nodeOptions: string[] = [], sections = ''): Promise<EmbeddedIsm> {
  await ensureBuilt()
  const directory = await mkdtemp(join(tmpdir(), 'ism-bench-'))
  const embedded = await startEmbedded({ dataDirectory: directory, port: 0, env: {}, progress: () => {} })
  const { config } = embedded
  const file = join(directory, 'bench.config.toml')
  await writeFile(file, tomlOf(config) + sections)
  const child = spawn(process.execPath, [...nodeOptions, BINARY, 'serve', '--config', file, '--migrate'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: directory,
  })
  const port = await portOf(child)
  return {
    port,
    pid: child.pid ?? 0,
    postgresPid: Number((await readFile(join(directory, 'cluster', 'postmaster.pid'), 'utf8')).split('\n')[0]),
    async connect() {
      const { host, port, user, password, database } = config.postgres
      const client = new pg.Client({ host, port, user, password, database })
      await client.connect()
      return client
    },
    people: (count) =>
      Promise.all(
        Array.from({ length: count }, async (_, n) => {
          const { token, userId } = await developmentToken({
            dataDirectory: directory,
            name: `person-${n}`,
            expiresSeconds: 86_400,
          })
          return { id: userId, token }
        }),
      ),
    tokenOf: async (id, displayName) =>
      signToken(await openDataDirectory(directory), { name: displayName, id, displayName }, 86_400),
    async stop() {
      child.kill('SIGTERM')
      await once(child, 'exit')
      await embedded.stop()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** The port of the line that says where ISM listens; its later lines are read and dropped. */
async function portOf(child: ChildProcess): Promise<number> {
  if (!child.stdout) throw new Error('the process has no output')
  const lines = createInterface({ input: child.stdout })
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`ism ended with ${code}`)))
    lines.on('line', (line) => {
      const { msg, port } = JSON.parse(line)
      if (msg === 'listening') resolve(port)
    })
  })
}

function tomlOf({ postgres, tokenIssuer, objects }: Config): string {
  return `ism_url = "127.0.0.1"
ism_port = 0
[user_db_config]
db_host = "${postgres.host}"
db_port = ${postgres.port}
db_user = "${postgres.user}"
db_password = "${postgres.password}"
db_name = "${postgres.database}"
[token_issuer]
issuer = "${tokenIssuer.issuer}"
discovery_url = "${tokenIssuer.discoveryUrl}"
[objects]
directory = "${objects.provider === 'directory' ? objects.directory : ''}"
[limits]
sends_per_second = 0
rooms_per_hour = 0
`
}
