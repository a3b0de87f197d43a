/** Durations as people type them: 90s, 15m, 1h, 7d. */
import { InvalidArgumentError } from 'commander'

const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const
const LONGEST_SECONDS = 3650 * SECONDS.d

/** In seconds; an option's parser. */
export function parseDuration(text: string): number {
  const match = /^(\d{1,9})([smhd])$/.exec(text)
  const seconds = match ? Number(match[1]) * SECONDS[match[2] as keyof typeof SECONDS] : 0
  if (seconds < 1 || seconds > LONGEST_SECONDS) {
    throw new InvalidArgumentError('Expected a duration such as 90s, 15m, 1h or 7d.')
  }
  return seconds
}
