/** Runs one of PostgreSQL's programs to its end, in an environment that no locale or PG* variable of ours reaches. */

import { type ChildProcess, spawn } from 'node:child_process'

/** Messages in English and UTC times in the log, whatever LANG and TZ say; initdb needs a PATH to find `sh`'s tools. */
export const CLEAN_ENVIRONMENT = { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/local/bin:/usr/bin:/bin' }

export type User = { uid: number; gid: number }

export type RunOptions = {
  user: User | undefined
  /** Descriptors for the program to have as its fourth and later ones. */
  inherit?: number[]
  timeoutMilliseconds?: number
}

export type RunResult = { code: number | undefined; output: string }

/** Never rejects: a program that cannot be started has no code, and the reason as its output. */
export function run(program: string, parameters: string[], options: RunOptions): Promise<RunResult> {
  return new Promise((resolve) => {
    const child = started(program, parameters, options)
    if (child instanceof Error) return resolve({ code: undefined, output: child.message })
    let output = ''
    const collect = (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-16_384)
    }
    child.stdout?.on('data', collect)
    child.stderr?.on('data', collect)
    child.once('error', (error) => resolve({ code: undefined, output: error.message }))
    child.once('close', (code) => resolve({ code: code ?? undefined, output }))
  })
}

/** Some failures are thrown, others emitted. */
function started(program: string, parameters: string[], options: RunOptions): ChildProcess | Error {
  try {
    return spawn(program, parameters, {
      // Ours may be one that the user cannot enter.
      cwd: '/',
      ...options.user,
      env: CLEAN_ENVIRONMENT,
      stdio: ['ignore', 'pipe', 'pipe', ...(options.inherit ?? [])],
      timeout: options.timeoutMilliseconds ?? 60_000,
      killSignal: 'SIGKILL',
    })
  } catch (error) {
    return error as Error
  }
}
