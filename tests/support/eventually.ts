/** For what nobody tells a test about: asks again and again. */
import { setTimeout as delay } from 'node:timers/promises'

/** Resolves when `probe` does to true; asks at least once. */
export async function eventually(what: string, probe: () => Promise<boolean>, milliseconds = 20_000): Promise<void> {
  const deadline = performance.now() + milliseconds
  while (!(await probe())) {
    if (performance.now() >= deadline) throw new Error(`Not within ${milliseconds} ms: ${what}`)
    await delay(20)
  }
}
