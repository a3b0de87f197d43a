/** Look-ups of host names that others name, so few at a time that a slow name server keeps nobody else waiting for long. */
import type { LookupAddress, LookupAllOptions } from 'node:dns'

type Found = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void

/** What gives a name's addresses, as node:dns does. */
export type Resolve = (hostname: string, options: LookupAllOptions, callback: Found) => void

/**
 * libuv runs two look-ups at a time, and what this process looks up for its own stores waits behind them: behind one that
 * is slow, not behind one for each connection. Two, so that one slow name holds no other back.
 */
const AT_ONCE = 2

/** One look-up a name at a time, shared by all who ask meanwhile, who ask with the same options; nothing is remembered. */
export function createLookUps(resolve: Resolve): Resolve {
  const asking = new Map<string, Found[]>()
  const queue: (() => void)[] = []
  let running = 0

  function next(): void {
    while (running < AT_ONCE) {
      const start = queue.shift()
      if (!start) return
      running++
      start()
    }
  }

  return (hostname, options, callback) => {
    const others = asking.get(hostname)
    if (others) {
      others.push(callback)
      return
    }
    const callbacks = [callback]
    asking.set(hostname, callbacks)
    queue.push(() =>
      resolve(hostname, options, (error, addresses) => {
        running--
        asking.delete(hostname)
        for (const each of callbacks) each(error, addresses)
        next()
      }),
    )
    next()
  }
}
