/** A Queryable that leaves connections of the pool to others. */
import type { Queryable } from './postgres.ts'

/** At most `most` statements run at a time; further ones wait for their turn, first come, first served. */
export function limited(db: Queryable, most: number): Queryable {
  const waiting: (() => void)[] = []
  let running = 0
  return {
    async query(name, text, values, rowMode) {
      if (running < most) running++
      else await new Promise<void>((resolve) => waiting.push(resolve))
      try {
        return await db.query(name, text, values, rowMode)
      } finally {
        // Whoever waits takes the place over, so that nobody else can come in between.
        const next = waiting.shift()
        if (next) next()
        else running--
      }
    },
  }
}
