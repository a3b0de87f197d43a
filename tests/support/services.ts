/**
 * The real servers of `npm run test:services`. Their addresses come from the environment alone: a suite without its own
 * is skipped and says which variable it wants, but where CI is set it fails.
 */
import { describe, expect, it } from 'vitest'

export type ServiceVariable = `ISM_TEST_${string}`

/** A suite that needs the servers at these addresses. */
export function describeWith<const Names extends readonly ServiceVariable[]>(
  names: Names,
  title: string,
  body: (address: Record<Names[number], string>) => void,
): void {
  const missing = names.filter((name) => !process.env[name])
  if (missing.length === 0) {
    const entries = names.map((name) => [name, process.env[name]])
    describe(title, () => body(Object.fromEntries(entries)))
  } else if (process.env['CI']) {
    it(`${title}: has its servers`, () => expect.fail(`set ${missing.join(', ')}`))
  } else {
    describe.skip(`${title} (skipped, set ${missing.join(', ')})`, () => it('runs against real servers', () => {}))
  }
}
