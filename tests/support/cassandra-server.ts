/** The Cassandra of the environment as a process that a test kills, freezes and starts again. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { eventually } from './eventually.ts'
import { identify, stillThere } from './process-table.ts'

export class CassandraServer {
  readonly #port: number
  readonly #startCommand: string

  /**
   * @param address as ISM_TEST_CASSANDRA has it; the server is a process of this machine, seen in /proc
   * @param startCommand as ISM_TEST_START_CASSANDRA has it: a shell command that ends when the server answers
   */
  constructor(address: string, startCommand: string) {
    this.#port = Number(address.split(':').at(-1))
    this.#startCommand = startCommand
  }

  async freeze(): Promise<void> {
    process.kill(await this.#pid(), 'SIGSTOP')
  }

  async thaw(): Promise<void> {
    process.kill(await this.#pid(), 'SIGCONT')
  }

  async kill(): Promise<void> {
    const pid = await this.#pid()
    const server = await identify([pid])
    process.kill(pid, 'SIGKILL')
    // Its port is free before it is gone.
    await eventually('Cassandra is gone', async () => (await stillThere(server)).length === 0)
  }

  async start(): Promise<void> {
    const child = spawn('sh', ['-c', this.#startCommand], { stdio: ['ignore', 'ignore', 'pipe'] })
    let problem = ''
    child.stderr.on('data', (chunk) => {
      problem += chunk
    })
    // Not 'close': the server itself keeps the pipe open.
    const [code] = await once(child, 'exit')
    child.stderr.destroy()
    if (code !== 0) throw new Error(`Cassandra was not started: ${problem}`)
  }

  async #pid(): Promise<number> {
    const inode = await listeningInode(this.#port)
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const files = await readdir(`/proc/${pid}/fd`).catch(() => [])
      for (const file of files) {
        const target = await readlink(`/proc/${pid}/fd/${file}`).catch(() => '')
        if (target === `socket:[${inode}]`) return Number(pid)
      }
    }
    throw new Error(`no process of this machine listens on port ${this.#port}`)
  }
}

/** proc(5), /proc/net/tcp: the second field is the local address, the fourth the state (0A: listening), the tenth the inode. */
async function listeningInode(port: number): Promise<string> {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  for (const table of ['tcp', 'tcp6']) {
    for (const line of (await readFile(`/proc/net/${table}`, 'utf8')).split('\n')) {
      const fields = line.trim().split(/\s+/)
      if (fields[1]?.endsWith(suffix) && fields[3] === '0A' && fields[9]) return fields[9]
    }
  }
  throw new Error(`nothing listens on port ${port}`)
}
