/** How long to wait before something is tried again. */

export type BackOff = { firstMs: number; maxMs: number }

/** Doubles with each failure and is spread, so that those who failed together do not all come back together. */
export function backOffMs(failures: number, { firstMs, maxMs }: BackOff): number {
  const full = Math.min(maxMs, firstMs * 2 ** Math.max(0, failures - 1))
  return full * (0.5 + Math.random() / 2)
}

export const DELIVERY_BACK_OFF: BackOff = { firstMs: 500, maxMs: 30_000 }
/** With that back-off some seven minutes: a receiver that answers 500 while it is replaced loses nothing. */
export const MAX_REFUSALS = 20
