/** "Did you mean …": the known name that a misspelt one is nearest to. */

/** `undefined` where nothing known is near enough to be meant. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  const wanted = normalised(word)
  let best: string | undefined
  let bestDistance = wanted.length > 8 ? 4 : wanted.length > 3 ? 3 : 2
  for (const candidate of known) {
    const distance = levenshtein(wanted, normalised(candidate))
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

const normalised = (name: string) => name.toLowerCase().replaceAll('-', '_')

function levenshtein(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      current.push(Math.min(substitution, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1))
    }
    previous = current
  }
  return previous[b.length] ?? 0
}
