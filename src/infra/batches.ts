/** Work in batches: while one batch is done, what arrives gathers into the next. */
import { errorCode } from './postgres.ts'

export type BatchWork<Item, Result> = {
  /**
   * Whether nothing may overtake what was added before it, and failed for a reason that may pass. Then all that waits
   * fails with it, and whoever adds it again adds all of it.
   */
  inOrder: boolean
  /** Batches begin at least so far apart, so that more of what comes shares one; what comes after a rest begins at once. */
  spacingMs?: number
  /** How many of the oldest fit into one batch; at least one. */
  fitting(waiting: Iterable<Item>): number
  /**
   * @param waitMs how long the oldest of them waited
   * @returns what became of each, in their order
   */
  run(batch: Item[], waitMs: number): Promise<(Result | Error)[]>
}

export interface Batches<Item, Result> {
  readonly waiting: number
  add(item: Item): Promise<Result>
  /** Resolves when what was added is done. */
  idle(): Promise<void>
}

type Waiting<Item, Result> = {
  item: Item
  since: number
  resolve: (result: Result) => void
  reject: (error: unknown) => void
}

export function createBatches<Item, Result>(work: BatchWork<Item, Result>): Batches<Item, Result> {
  const waiting: Waiting<Item, Result>[] = []
  let running: Promise<void> | undefined
  let lastBegan = Number.NEGATIVE_INFINITY

  function* items(): Generator<Item> {
    for (const { item } of waiting) yield item
  }

  async function drain(): Promise<void> {
    // One turn of the event loop, so that what arrives in the same turn shares the first batch.
    await new Promise((resolve) => setImmediate(resolve))
    while (waiting.length > 0) {
      await spaced()
      const failure = await runBatch(waiting.splice(0, work.fitting(items())))
      if (failure !== undefined && work.inOrder) rejectAll(waiting.splice(0), failure)
    }
    running = undefined
  }

  async function spaced(): Promise<void> {
    const early = lastBegan + (work.spacingMs ?? 0) - performance.now()
    if (early > 0) await new Promise((resolve) => setTimeout(resolve, early))
    lastBegan = performance.now()
  }

  /** @returns why it failed, where that may pass */
  async function runBatch(batch: Waiting<Item, Result>[]): Promise<unknown> {
    const started = performance.now()
    try {
      const items = batch.map(({ item }) => item)
      const results = await work.run(items, started - (batch[0]?.since ?? started))
      for (const [index, { resolve, reject }] of batch.entries()) {
        const result = results[index]
        if (result instanceof Error) reject(result)
        else resolve(result as Result)
      }
      return undefined
    } catch (error) {
      if (batch.length > 1 && isDataError(error)) return await runHalves(batch)
      rejectAll(batch, error)
      return isDataError(error) ? undefined : error
    }
  }

  /** The data of one failed the statement for all: halved until only that one fails. */
  async function runHalves(batch: Waiting<Item, Result>[]): Promise<unknown> {
    const half = batch.length >> 1
    const failure = await runBatch(batch.slice(0, half))
    if (failure === undefined || !work.inOrder) return (await runBatch(batch.slice(half))) ?? failure
    rejectAll(batch.slice(half), failure)
    return failure
  }

  return {
    get waiting() {
      return waiting.length
    },
    add(item) {
      return new Promise((resolve, reject) => {
        waiting.push({ item, since: performance.now(), resolve, reject })
        running ??= drain()
      })
    },
    idle: async () => running,
  }
}

/** Whoever is answered goes on in the same turn of the event loop, in which others wait. */
export const MAX_SHARED = 32

/** How those share a statement who ask for the same kind of thing, of whom thousands may come at once. */
export const SHARED = {
  inOrder: false,
  spacingMs: 5,
  fitting(waiting: Iterable<unknown>): number {
    let count = 0
    for (const _ of waiting) if (++count === MAX_SHARED) break
    return count
  },
}

function rejectAll(batch: { reject: (error: unknown) => void }[], error: unknown): void {
  for (const { reject } of batch) reject(error)
}

/** Data exceptions, integrity violations and program limits: SQLSTATE classes 22, 23 and 54. */
function isDataError(error: unknown): boolean {
  return /^(22|23|54)/.test(errorCode(error) ?? '')
}
