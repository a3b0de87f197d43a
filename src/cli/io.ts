/** What the command line touches of the world, so that a test can hold it. */

export type TextOutput = { write(text: string): unknown; readonly isTTY?: boolean }

export type Io = {
  stdout: TextOutput
  stderr: TextOutput
  /** Not touched by commands that do not read it. */
  readonly stdin?: AsyncIterable<Uint8Array>
  env: Readonly<Record<string, string | undefined>>
  cwd: string
  signals: Signals
  /** Where the server's log goes instead of the process's own outputs. */
  log?: { write(line: string): void }
}

export type StopSignal = 'SIGINT' | 'SIGTERM'

export interface Signals {
  on(signal: StopSignal, listener: () => void): unknown
  off(signal: StopSignal, listener: () => void): unknown
}

export const writeLine = (output: TextOutput, line: string) => output.write(`${line}\n`)
