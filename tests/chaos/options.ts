/** The options of `npm run chaos`. */
import { parseArgs } from 'node:util'

export type ChaosOptions = {
  nodes: number
  /** Streams open at a time. */
  readers: number
  /** The run ends after this many kills, or after this long, whichever comes first. */
  kills: number
  minutes: number
  /** Of every choice; the moments at which they fall are the machine's. */
  seed: number
}

export type CommandLine = ChaosOptions & { json: boolean }

export const USAGE = `Usage: npm run chaos -- [options]

Kills, stops and freezes nodes and servers at random under load, and checks everything against a model.

  --kills K     end after K kills with -9 (default: 20, or without end where --minutes is given)
  --minutes M   end after M minutes
  --nodes N     nodes of ISM (default: 3)
  --readers R   streams open at a time (default: 60)
  --seed S      repeat the choices of another run
  --json        print the result as JSON

Exit codes: 0 all is well, 1 something is not, 2 wrong usage.
`

export class UsageError extends Error {}

export function parseOptions(parameters: string[]): CommandLine | 'help' {
  const { values } = parse(parameters)
  if (values.help) return 'help'
  return {
    nodes: wholeNumber('nodes', values.nodes, 1, 20) ?? 3,
    readers: wholeNumber('readers', values.readers, 4, 2_000) ?? 60,
    kills: wholeNumber('kills', values.kills, 0, 1_000_000) ?? (values.minutes === undefined ? 20 : Infinity),
    minutes: wholeNumber('minutes', values.minutes, 1, 100_000) ?? Infinity,
    seed: wholeNumber('seed', values.seed, 0, 0xffff_ffff) ?? Date.now() % 1_000_000,
    json: values.json ?? false,
  }
}

function parse(parameters: string[]) {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  const options = { kills: text, minutes: text, nodes: text, readers: text, seed: text, json: flag, help: flag }
  try {
    return parseArgs({ args: parameters, options })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function wholeNumber(name: string, value: string | undefined, least: number, most: number): number | undefined {
  if (value === undefined) return undefined
  const number = /^\d+$/.test(value) ? Number(value) : Number.NaN
  if (!(number >= least && number <= most)) throw new UsageError(`--${name} takes a number from ${least} to ${most}`)
  return number
}
