/** How nodes tell each other that there is something to read; losing a word only delays, for nodes poll as well. */

export interface WakeUps {
  /** Whether wake-ups arrive at present. */
  readonly connected: boolean
  /** Tells every node, this one too, that the log goes up to `seq` at least. */
  publish(seq: number): void
  close(): Promise<void>
}

export type WakeUpHandlers = {
  woken(seq: number): void
  /** Called at each connection: whatever was said while there was none is lost. */
  connected(): void
  /** Called when they cease, and at each vain try: what is said from here on, or was a moment ago, is lost. */
  failed(error: Error): void
}
