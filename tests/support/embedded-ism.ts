/** `ism serve --embedded` as somebody runs it who tries ISM: what it prints, and the PostgreSQL behind it. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { postgresProcesses } from '../../src/embedded/processes.ts'
import { Person } from './person.ts'
import { descendantsOf, identify, type KnownProcess } from './process-table.ts'
import { type Surroundings, startIsmProcess, type TestProcess } from './test-process.ts'

export class EmbeddedIsm {
  readonly process: TestProcess
  readonly data: string
  readonly url: string
  readonly postgres: pg.ClientConfig

  private constructor(process: TestProcess, data: string, url: string, postgres: pg.ClientConfig) {
    this.process = process
    this.data = data
    this.url = url
    this.postgres = postgres
  }

  /** Resolves when it has printed all that it prints. */
  static async start(data: string, surroundings: Surroundings = {}): Promise<EmbeddedIsm> {
    const process = await startIsmProcess(['serve', '--embedded', '--port', '0', '--data', data], surroundings)
    await process.until('how to stop it', (output) => output.includes('Ctrl-C stops'))
    const url = /^ISM listens on (\S+)$/m.exec(process.stdout)?.[1]
    if (url === undefined) throw new Error(`ISM did not say where it listens: ${process.stdout}`)
    const port = Number(/^PostgreSQL listens on 127\.0\.0\.1:(\d+)/m.exec(process.stderr)?.[1])
    const password = (await readFile(join(data, 'postgres-password'), 'utf8')).trim()
    return new EmbeddedIsm(process, data, url, { host: '127.0.0.1', port, user: 'ism', password, database: 'ism' })
  }

  /** A ready-made person; only alice's and bob's tokens are printed. */
  person(name: string, token = this.#printedToken(name)): Person {
    const id = new RegExp(`^ +${name} +(\\S+)$`, 'm').exec(this.process.stdout)?.[1]
    if (id === undefined) throw new Error(`There is no ${name} in: ${this.process.stdout}`)
    return new Person(this.url, id, name, token)
  }

  /** The printed lines that are to be pasted into a shell: bob's stream first, then a room and a message of alice's. */
  shellLines(): string[] {
    return this.process.stdout.split('\n').filter((line) => /^(curl|ROOM=)/.test(line))
  }

  /** Whatever must not outlive it: what it started, and all of its PostgreSQL. */
  async children(): Promise<KnownProcess[]> {
    const client = new pg.Client(this.postgres)
    await client.connect()
    const { rows } = await client.query<{ cluster_name: string }>('show cluster_name')
    await client.end()
    const ofPostgres = await postgresProcesses(rows[0]?.cluster_name ?? '')
    return [...(await descendantsOf(this.process.pid)), ...(await identify(ofPostgres))]
  }

  /** Of the PostgreSQL that is ready; `undefined` while there is none. */
  async postmaster(): Promise<number | undefined> {
    const text = await readFile(join(this.data, 'cluster', 'postmaster.pid'), 'utf8').catch(() => '')
    const [pid, , , , , , , status] = text.split('\n')
    return status?.startsWith('ready') ? Number(pid) : undefined
  }

  #printedToken(name: string): string {
    const [stream, room] = this.shellLines()
    return /Bearer ([^']+)'/.exec((name === 'bob' ? stream : room) ?? '')?.[1] ?? ''
  }
}
