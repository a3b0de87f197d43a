/** Processes that a test starts, the command `ism` first: output kept, end awaited, nothing left over. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

export type Exit = { code: number | null; signal: NodeJS.Signals | null }

export type Surroundings = {
  cwd?: string
  /** The whole environment; without it the test's own, less the variables that ISM reads. */
  env?: Record<string, string>
  uid?: number
  gid?: number
  /** How far the process's clock is ahead. */
  clockShiftSeconds?: number
  /** Another program than this test's own to run JavaScript with. */
  node?: string
  /** Where its standard output goes, in place of `stdout`: a file's descriptor. */
  output?: number
}

const PROGRAM = fileURLToPath(new URL('../../bin/ism.js', import.meta.url))
const BUILD = fileURLToPath(new URL('../../bin/build.js', import.meta.url))
const SHIFTED_CLOCK = new URL('shifted-clock.mjs', import.meta.url).href
/** ISM promises to be gone after ten seconds. */
const STOP_MS = 10_000

const running = new Set<TestProcess>()
let built: Promise<unknown> | undefined

/** `ism` with these arguments, as an operator starts it; resolves once it runs, which says nothing of how far it is. */
export async function startIsmProcess(parameters: string[], surroundings: Surroundings = {}): Promise<TestProcess> {
  // Once for all of a run: where another file builds already, this waits for it.
  built ??= promisify(execFile)(process.execPath, [BUILD])
  await built
  const { clockShiftSeconds, node = process.execPath, ...rest } = surroundings
  if (clockShiftSeconds === undefined) return new TestProcess(node, [PROGRAM, ...parameters], rest)
  return new TestProcess(node, ['--import', SHIFTED_CLOCK, PROGRAM, ...parameters], {
    ...rest,
    env: { ...ownEnvironment(), CLOCK_SHIFT_SECONDS: String(clockShiftSeconds) },
  })
}

/** Ends whatever still runs; for a test file's `afterEach` or `afterAll`. */
export async function endProcesses(): Promise<void> {
  await Promise.all([...running].map((process) => process.end()))
}

// Vitest may give a test file up before its hooks have run.
process.on('exit', () => {
  for (const process of running) process.signal('SIGKILL')
})

export class TestProcess {
  stdout = ''
  stderr = ''
  /** Resolves when the process is gone and its output complete. */
  readonly exited: Promise<Exit>
  /** Of when it was gone. */
  exit: Exit | undefined
  readonly #child: ChildProcess
  #waiters: (() => void)[] = []

  constructor(
    program: string,
    parameters: string[],
    {
      output = 'pipe',
      ...surroundings
    }: Omit<Surroundings, 'clockShiftSeconds' | 'node' | 'output'> & {
      output?: number | 'pipe'
    } = {},
  ) {
    this.#child = spawn(program, parameters, {
      env: ownEnvironment(),
      ...surroundings,
      stdio: ['ignore', output, 'pipe'],
    })
    running.add(this)
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#take('stdout', text))
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#take('stderr', text))
    this.exited = new Promise((resolve) => {
      this.#child.once('error', (error) => {
        this.stderr += error.message
        resolve(this.#end(null, null))
      })
      this.#child.once('close', (code, signal) => resolve(this.#end(code, signal)))
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get output(): string {
    return `${this.stdout}\n${this.stderr}`
  }

  /** What `find` finds in the output, past or future; rejects where the process ends without it. */
  async until<T>(what: string, find: (output: string) => T | undefined | null | false, milliseconds = 40_000) {
    const deadline = AbortSignal.timeout(milliseconds)
    const late = new Promise<void>((resolve) => deadline.addEventListener('abort', () => resolve(), { once: true }))
    for (;;) {
      const found = find(this.output)
      if (found !== undefined && found !== null && found !== false) return found
      if (this.exit || deadline.aborted) throw new Error(`It said nothing of ${what}: ${this.output.slice(-3_000)}`)
      await Promise.race([late, new Promise<void>((resolve) => this.#waiters.push(resolve))])
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** Sends the signal and waits for the end. */
  kill(name: NodeJS.Signals): Promise<Exit> {
    this.signal(name)
    return this.exited
  }

  /** Asks first, so that a database of its own is gone too; then insists. */
  async end(): Promise<void> {
    this.signal('SIGCONT')
    this.signal('SIGTERM')
    const patience = new AbortController()
    await Promise.race([this.exited, delay(STOP_MS, undefined, { signal: patience.signal }).catch(() => undefined)])
    patience.abort()
    if (!this.exit) await this.kill('SIGKILL')
  }

  #end(code: Exit['code'], signal: Exit['signal']): Exit {
    running.delete(this)
    this.exit = { code, signal }
    this.#notify()
    return this.exit
  }

  #take(output: 'stdout' | 'stderr', text: string): void {
    this[output] += text
    this.#notify()
  }

  #notify(): void {
    for (const wake of this.#waiters.splice(0)) wake()
  }
}

/** Without what would be configuration, and with the locale that most containers have: none. */
function ownEnvironment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    ([name, value]) => value !== undefined && !/^(ISM_|LC_|LANG|NODE_OPTIONS|VITEST)/.test(name),
  )
  return Object.fromEntries(kept) as Record<string, string>
}
