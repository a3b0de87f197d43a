/** Choices: what the seed decides. */
import { createRandom, type Random } from '../support/random.ts'

/** Each actor has numbers of its own, so that none of its choices depends on how fast the others are. */
export function randomOf(seed: number, actor: string): Random {
  let mixed = seed >>> 0
  for (const character of actor) mixed = Math.imul(mixed ^ character.charCodeAt(0), 0x01000193) >>> 0
  return createRandom(mixed)
}

export function pickFrom<T>(random: Random, choices: readonly T[]): T | undefined {
  return choices[random.below(choices.length)]
}

/** From `low` to `high`, as often between 1 and 10 as between 10 and 100. */
export function spread(random: Random, low: number, high: number): number {
  return low * (high / low) ** random.next()
}

/** One of the keys, as often as their weights say. */
export function weighted<T extends string>(random: Random, weights: Partial<Record<T, number>>): T {
  const entries = Object.entries(weights) as [T, number][]
  let left = random.next() * entries.reduce((sum, [, weight]) => sum + weight, 0)
  for (const [choice, weight] of entries) {
    left -= weight
    if (left < 0) return choice
  }
  return (entries.at(-1) as [T, number])[0]
}
