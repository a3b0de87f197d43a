/** How V8 is to collect what a server leaves behind. */
import { setFlagsFromString } from 'node:v8'

/**
 * V8 makes in old space at once what it has seen survive. While a server starts, its first requests outlive many small
 * collections, and then each request has parts in old space for good: they keep all else of it alive until the next full
 * collection. Of a send 9 KB were moved to old space in place of 1.6, and collecting took 55 µs of CPU in place of 19.
 */
export function keepRequestsYoung(): void {
  setFlagsFromString('--no-allocation-site-pretenuring')
}
