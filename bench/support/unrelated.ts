/** What a call that has nothing to do with streams takes, at a fixed rate, while something else goes on. */
import { quantile, sorted } from '../suite/statistics.ts'
import { openLoad } from './load/load.ts'

const RATE = 200

/** @param work resolves with when what is looked at was over, on the monotonic clock; it has `seconds` */
export async function unrelatedDuring<Done extends { from: number; to: number }>(
  port: number,
  request: string,
  seconds: number,
  work: () => Promise<Done>,
): Promise<Done & { unrelatedP99: number; unrelatedMax: number }> {
  const load = await openLoad(port, 16)
  try {
    await load.run({ requests: [request], seconds: 0.5, rate: RATE })
    const [done, { asked, answered }] = await Promise.all([
      work(),
      load.run({ requests: [request], seconds, rate: RATE }),
    ])
    const within = answered.map((at, n) => at - (asked[n] ?? Number.NaN)).filter((_, n) => isBetween(asked[n], done))
    const latencies = sorted(within)
    return { ...done, unrelatedP99: quantile(latencies, 0.99), unrelatedMax: latencies.at(-1) ?? Number.NaN }
  } finally {
    await load.stop()
  }
}

const isBetween = (at: number | undefined, { from, to }: { from: number; to: number }) =>
  at !== undefined && at >= from && at <= to
