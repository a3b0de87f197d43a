/** What a run says: a line now and then while it goes on, a table at its end. */
import Table from 'cli-table3'
import { FAULTS } from './findings.ts'
import type { Havoc } from './havoc.ts'
import type { State } from './run.ts'

const EVERY_MS = 3_000
/** Characters of an example. */
const EXAMPLE = 2_000

/** A line now and then, on a terminal one that is rewritten, and what is found when it is found. @returns what ends it */
export function reportProgress(state: () => State, out: NodeJS.WriteStream): () => void {
  let told = new Set<string>()
  const write = () => {
    const now = state()
    const { examples } = now.findings
    for (const example of examples) if (!told.has(example)) out.write(`${clear(out)}  ${example.slice(0, EXAMPLE)}\n`)
    told = new Set(examples)
    const line = progressLine(now)
    out.write(out.isTTY ? `${clear(out)}${line.slice(0, out.columns - 1)}` : `${line}\n`)
  }
  const timer = setInterval(write, EVERY_MS)
  return () => {
    clearInterval(timer)
    out.write(clear(out))
  }
}

const clear = ({ isTTY }: NodeJS.WriteStream) => (isTTY ? '\r\u001B[K' : '')

function progressLine({ phase, options, seconds, tally, kills, rooms, devices, findings, plan }: State): string {
  const minutes = `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`
  const wanted = options.kills === Infinity ? '' : `/${options.kills}`
  return [
    `${minutes} ${phase}`,
    `${kills}${wanted} kills`,
    `${tally.answered} answered`,
    `${tally.delivered} delivered`,
    `${devices} devices`,
    `${rooms} rooms`,
    `${findings.total} faults`,
    ...(plan === undefined ? [] : [plan]),
  ].join(' · ')
}

export function isClean({ findings }: State): boolean {
  return findings.total === 0
}

export function resultTable(state: State): string {
  const { options, seconds, tally, rooms, devices, deeds, slowStops, startsGivenUp, errors, findings } = state
  const { unexpected, ...faults } = findings.counts
  const table = new Table({ style: { head: [], border: [], compact: true } })
  const minutes = seconds / 60
  table.push(
    ['seed', options.seed],
    ['nodes, readers', `${options.nodes}, ${options.readers}`],
    ['minutes', minutes.toFixed(1)],
    ['killed with -9', describe(deeds?.kill)],
    ['stopped in order', describe(deeds?.stop)],
    ['frozen', describe(deeds?.freeze)],
    ['stopped late', slowStops],
    ['starts given up', startsGivenUp],
    ['rooms', rooms],
    ['devices, connections', `${devices}, ${tally.connections}`],
    ['timelines read', tally.timelines],
    ['Resyncs', tally.resyncs],
    ['errors in logs', [...errors.values()].reduce((sum, count) => sum + count, 0)],
    ['unexpected', unexpected],
    ['sent and answered', `${tally.sends} and ${tally.answered}`],
    ['delivered', tally.delivered],
    ...Object.entries(faults),
  )
  const logged = [...errors].map(([message, count]) => `in logs, ${count} times: ${message}`)
  // The table stands last: it is what a run ends with.
  const lines = [...logged, ...findings.examples].map((line) => `  ${line.slice(0, EXAMPLE)}\n`)
  return `${lines.join('')}${table.toString()}\n`
}

export function resultJson(state: State): string {
  const { options, seconds, tally, rooms, devices, kills, deeds, slowStops, startsGivenUp, errors, findings } = state
  const counts = findings.counts
  return JSON.stringify(
    {
      ok: isClean(state),
      seed: options.seed,
      nodes: options.nodes,
      readers: options.readers,
      seconds: Math.round(seconds),
      kills,
      killed: Object.fromEntries(deeds?.kill ?? []),
      stopped: Object.fromEntries(deeds?.stop ?? []),
      frozen: Object.fromEntries(deeds?.freeze ?? []),
      slowStops,
      startsGivenUp,
      rooms,
      devices,
      errors: Object.fromEntries(errors),
      examples: findings.examples,
      unexpected: counts.unexpected,
      ...tally,
      faults: Object.fromEntries(FAULTS.map((fault) => [fault, counts[fault]])),
    },
    undefined,
    2,
  )
}

function describe(deeds: Havoc['deeds']['kill'] | undefined): string {
  const counts = [...(deeds ?? [])].sort()
  return counts.map(([name, count]) => `${count} ${name}`).join(', ') || 'none'
}
