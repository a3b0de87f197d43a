/** docs/performance.md: the part between its two marks, and the charts beside it, from the newest result of each bench. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { barChart } from './bar-chart.ts'
import type { Table } from './bench.ts'
import { BENCHES } from './benches.ts'
import { formatSeries } from './numbers.ts'
import type { Result } from './result.ts'
import { reachedText, targetText } from './text-report.ts'

const DOCS = fileURLToPath(new URL('../../docs/', import.meta.url))
const PAGE = join(DOCS, 'performance.md')
const CHARTS = join(DOCS, 'performance')
/** Results of earlier runs, so that one bench alone can be run again. */
const RESULTS = join(CHARTS, 'results.json')
const BEGIN = '<!-- results: written by npm run bench -- --write-docs -->'
const END = '<!-- end of results -->'

/** @returns the files that were written */
export async function writePerformancePage(newest: Result[]): Promise<string[]> {
  await mkdir(CHARTS, { recursive: true })
  const results = merge(await earlierResults(), newest)
  const page = await readFile(PAGE, 'utf8')
  const [before, rest] = page.split(BEGIN)
  const after = rest?.split(END)[1]
  if (before === undefined || after === undefined) throw new Error(`${PAGE} lacks its marks, ${BEGIN} and ${END}`)
  await writeFile(PAGE, `${before}${BEGIN}\n\n${pageOf(results)}\n${END}${after}`)
  await writeFile(RESULTS, `${JSON.stringify(results)}\n`)
  const charts = results.flatMap((result) => result.charts ?? [])
  for (const name of await readdir(CHARTS)) if (name.endsWith('.svg')) await rm(join(CHARTS, name))
  for (const chart of charts) await writeFile(join(CHARTS, `${chart.name}.svg`), barChart(chart))
  return [PAGE, RESULTS, ...charts.map(({ name }) => join(CHARTS, `${name}.svg`))]
}

async function earlierResults(): Promise<Result[]> {
  try {
    return JSON.parse(await readFile(RESULTS, 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** In the order of the benches; those that are no more are forgotten. */
function merge(earlier: Result[], newest: Result[]): Result[] {
  return BENCHES.flatMap(({ name }) => {
    const found = [...newest, ...earlier].find(({ bench }) => bench === name)
    return found ? [found] : []
  })
}

function pageOf(results: Result[]): string {
  return [targetsOf(results), ...results.map(sectionOf)].join('\n')
}

function targetsOf(results: Result[]): string {
  const rows = results.flatMap(({ targets, bench }) =>
    targets.map((target) => [
      target.what,
      target.against ?? '',
      reachedText(target),
      targetText(target),
      target.met === undefined ? '' : target.met ? 'yes' : '**no**',
      `[${bench}](#${bench})`,
    ]),
  )
  return `### Targets\n\n${markdownTable(['what', 'against', 'median (rounds)', 'target', 'met', 'bench'], rows)}`
}

function sectionOf(result: Result): string {
  const { machine } = result
  const charts = (result.charts ?? []).map(({ name, title }) => `![${title}](performance/${name}.svg)\n`)
  const skipped = (result.skipped ?? []).map(({ what, why }) => `Skipped: ${what}: ${why}.\n`)
  const settings = Object.entries(result.settings).map(([name, value]) => `${name} ${String(value)}`)
  return [
    `### ${result.bench}\n`,
    `${sentence(result.about)} Settings: ${settings.join('; ')}.\n`,
    ...result.tables.map((table) => `${table.title}:\n\n${tableOf(table)}`),
    ...charts,
    ...skipped,
    `${machine.date}, commit ${machine.commit}, ${machine.cores} cores of ${machine.processor}, ${machine.memoryGiB} GiB, ` +
      `${machine.system}, Node ${machine.node}; load average before: ${machine.loadAverage}.\n`,
  ].join('\n')
}

function tableOf({ labels, columns, rows }: Table): string {
  return markdownTable(
    [...labels, ...columns.map(({ head }) => head)],
    rows.map((row) => [
      ...row.labels.map(String),
      ...row.values.map((series, n) => (series ? formatSeries(series, columns[n]?.digits ?? 0) : '')),
    ]),
  )
}

function markdownTable(heads: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`
  return `${[line(heads), line(heads.map(() => '---')), ...rows.map(line)].join('\n')}\n`
}

const sentence = (text: string) => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`
