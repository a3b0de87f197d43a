/** A bar on a terminal for work that takes a while; nothing where nobody watches. */
import type { TextOutput } from './io.ts'

export type ProgressBar = { show(done: number): void; clear(): void }

const WIDTH = 30

export function progressBar(output: TextOutput, total: number): ProgressBar {
  if (!output.isTTY) return { show() {}, clear() {} }
  let shown = false
  return {
    show(done) {
      const filled = Math.round((done / total) * WIDTH)
      shown = true
      output.write(`\r[${'#'.repeat(filled).padEnd(WIDTH, '-')}] ${done} of ${total}`)
    },
    /** Erases the line, which a longer one may not overwrite (ECMA-48, EL). */
    clear() {
      if (shown) output.write('\r\u001b[K')
    },
  }
}
