/** A server that the environment names, as a process that a test kills, freezes and starts again. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { eventually } from './eventually.ts'
import { freeze, thaw } from './freezer.ts'
import { identify, stillThere } from './process-table.ts'

export class ServerProcess {
  readonly name: string
  readonly #port: number
  readonly #startCommand: string

  /**
   * @param address as ISM_TEST_… has it, ending in the port; the server is a process of this machine, seen in /proc
   * @param startCommand as ISM_TEST_START_… has it: a shell command that ends when the server answers
   */
  constructor(name: string, address: string, startCommand: string) {
    this.name = name
    this.#port = Number(/:(\d+)[^:]*$/.exec(address)?.[1])
    this.#startCommand = startCommand
  }

  /** The program and its parameters. */
  async commandLine(): Promise<string[]> {
    return (await readFile(`/proc/${await this.#pid()}/cmdline`, 'utf8')).split('\0').slice(0, -1)
  }

  async freeze(): Promise<void> {
    freeze(await this.#pid())
  }

  async thaw(): Promise<void> {
    thaw(await this.#pid())
  }

  async kill(): Promise<void> {
    const pid = await this.#pid()
    const server = await identify([pid])
    process.kill(pid, 'SIGKILL')
    // Its port is free before it is gone.
    await eventually(`${this.name} is gone`, async () => (await stillThere(server)).length === 0)
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
    if (code !== 0) throw new Error(`${this.name} was not started: ${problem}`)
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
