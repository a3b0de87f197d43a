/** The monotonic clock, in milliseconds: the same in every process of the machine, which `performance.now()` is not. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
