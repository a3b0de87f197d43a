/** Ctrl-C and SIGTERM: the first asks to stop, a second one insists. */
import type { Signals, StopSignal } from './io.ts'

export type StopRequests = {
  /** Resolves at the first signal. */
  asked: Promise<StopSignal>
  readonly isAsked: boolean
  /** Rejects at a second one. */
  insisted: Promise<never>
  stopListening(): void
}

/** npx passes Ctrl-C on to a process that the terminal has sent it to already: that is one wish, not two. */
const SAME_WISH_MS = 300

const SIGNALS: readonly StopSignal[] = ['SIGINT', 'SIGTERM']

export function listenForStop(signals: Signals): StopRequests {
  const listeners = new Map<StopSignal, () => void>()
  let askedAt: number | undefined
  let insist: (error: Error) => void
  const insisted = new Promise<never>((_, reject) => {
    insist = reject
  })
  insisted.catch(() => {})
  const asked = new Promise<StopSignal>((resolve) => {
    for (const signal of SIGNALS) {
      const listener = () => {
        askedAt ??= performance.now()
        resolve(signal)
        if (performance.now() - askedAt > SAME_WISH_MS) insist(new Error(`stopped at once by a second ${signal}`))
      }
      listeners.set(signal, listener)
      signals.on(signal, listener)
    }
  })
  const stopListening = () => {
    for (const [signal, listener] of listeners) signals.off(signal, listener)
  }
  return {
    asked,
    get isAsked() {
      return askedAt !== undefined
    },
    insisted,
    stopListening,
  }
}
