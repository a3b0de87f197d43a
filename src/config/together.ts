/** Keys of the configuration that only make sense together. */
import type { Judgement } from './judgement.ts'
import { qualified, type SectionName } from './schema.ts'

/** Reports the one that is missing beside the other. */
export function requireBoth<Name extends SectionName>(
  { given, problems, values }: Judgement,
  section: Name,
  one: keyof Judgement['values'][Name] & string,
  other: keyof Judgement['values'][Name] & string,
): void {
  const [isOne, isOther] = [Boolean(values[section][one]), Boolean(values[section][other])]
  if (isOne === isOther) return
  const [missing, there] = isOne ? [other, one] : [one, other]
  problems.push({
    key: qualified(section, missing),
    source: given.get(qualified(section, there))?.source ?? '',
    problem: `is missing beside ${there}`,
    expected: 'both of them, or neither',
  })
}
