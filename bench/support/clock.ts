/** The monotonic clock, in milliseconds: the same in every process of the machine, which `performance.now()` is not. */
const OFFSET = Number(process.hrtime.bigint()) / 1e6 - performance.now()

export function now(): number {
  return OFFSET + performance.now()
}
