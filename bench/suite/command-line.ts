/** What `npm run bench` is told. */
import { parseArgs } from 'node:util'
import type { Bench, Setting } from './bench.ts'

export type Command =
  | { help: true }
  | {
      help: false
      benches: Bench[]
      small: boolean
      writeDocs: boolean
      json: string | undefined
      profile: string | undefined
      /** Of each bench, by its name; `asIs`: none of them was given. */
      settings: Map<string, { values: Record<string, number | number[]>; asIs: boolean }>
    }

export class UsageError extends Error {}

/** @throws UsageError */
export function readCommandLine(parameters: string[], all: readonly Bench[]): Command {
  const { values, positionals } = parse(parameters, all)
  if (values['help']) return { help: true }
  const unknown = positionals.filter((name) => !all.some((bench) => bench.name === name))
  if (unknown.length > 0)
    throw new UsageError(`there is no bench ${unknown.join(', ')}; there are ${all.map(({ name }) => name).join(', ')}`)
  const benches = positionals.length > 0 ? all.filter(({ name }) => positionals.includes(name)) : [...all]
  const small = values['small'] === true
  const writeDocs = values['write-docs'] === true
  if (small && writeDocs) throw new UsageError('a small run says nothing: --write-docs goes without --small')
  const given = Object.entries(values).filter(([name]) => all.some(({ settings }) => name in settings))
  for (const [name] of given)
    if (!benches.some(({ settings }) => name in settings))
      throw new UsageError(`--${name} is no setting of ${benches.map((bench) => bench.name).join(', ')}`)
  return {
    help: false,
    benches,
    small,
    writeDocs,
    json: values['json'] as string | undefined,
    profile: values['profile'] as string | undefined,
    settings: new Map(benches.map((bench) => [bench.name, settingsOf(bench, small, new Map(given))])),
  }
}

function parse(parameters: string[], all: readonly Bench[]) {
  const settings = all.flatMap((bench) => Object.keys(bench.settings))
  try {
    return parseArgs({
      args: parameters,
      allowPositionals: true,
      options: {
        help: { type: 'boolean' },
        small: { type: 'boolean' },
        json: { type: 'string' },
        'write-docs': { type: 'boolean' },
        profile: { type: 'string' },
        ...Object.fromEntries(settings.map((name) => [name, { type: 'string' } as const])),
      },
    }) as { values: Record<string, string | boolean | undefined>; positionals: string[] }
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function settingsOf({ settings }: Bench, small: boolean, given: Map<string, unknown>) {
  const values: Record<string, number | number[]> = {}
  for (const [name, setting] of Object.entries(settings)) {
    const text = given.get(name)
    const value = small ? setting.small : setting.full
    if (text !== undefined) values[name] = numbersOf(name, setting, String(text))
    else values[name] = typeof value === 'number' ? value : [...value]
  }
  return { values, asIs: !Object.keys(settings).some((name) => given.has(name)) }
}

function numbersOf(name: string, { full }: Setting, text: string): number | number[] {
  const numbers = text.split(',').map((each) => (each.trim() === '' ? Number.NaN : Number(each)))
  if (!numbers.every((each) => each > 0 && Number.isFinite(each)))
    throw new UsageError(`--${name} ${text}: expected ${typeof full === 'number' ? 'a number' : 'numbers'} above 0`)
  if (typeof full !== 'number') return numbers
  if (numbers.length > 1) throw new UsageError(`--${name} ${text}: expected one number`)
  return numbers[0] ?? Number.NaN
}

export function helpText(all: readonly Bench[]): string {
  const benches = all.map(({ name, about, settings }) => {
    const lines = Object.entries(settings).map(
      ([option, { full, doc }]) => `      --${`${option} ${String(full)}`.padEnd(28)} ${doc}`,
    )
    return [`  ${name.padEnd(12)} ${about}`, ...lines].join('\n')
  })
  return `npm run bench [-- [name…] [options]]

Without a name all benches run, in this order. Each starts what it needs and takes it down again.

  --small            each for seconds, as a check that it still works; its numbers say nothing
  --json FILE        write all numbers, by round
  --write-docs       put the results into docs/performance.md and its charts
  --profile DIR      a CPU profile of each process of ISM, and where its time went
  --help

Benches, and their own settings with what they are in a full run:

${benches.join('\n\n')}
`
}
