/** Lays the layers of a configuration over one another: who says what, under its one name. */
import type { Problem } from './problem.ts'
import { LISTED, qualified, SECTIONS, type Section, TOP } from './schema.ts'
import { nearest } from './suggestion.ts'

export type Layer = {
  /** Named in problems: a file, `environment`, an option. */
  source: string
  /** As TOML gives it: top-level keys, and a table for each section. */
  tables: Record<string, unknown>
  /** The more exact source of some `section.key`s. */
  sources?: Readonly<Record<string, string>>
  /** Later layers may not change what this one sets. */
  binding?: true
}

/** The tables of a list, as the last layer that has it writes them all. */
export type GivenList = { tables: Record<string, unknown>[]; source: string }

export type Given = { value: unknown; source: string; binding: boolean }

export type Overlaid = {
  /** By `section.key`, aliases resolved; the last layer that sets a key wins. */
  given: Map<string, Given>
  /** The sections that some layer has, with the first that does. */
  sections: Map<string, string>
  lists: Map<string, GivenList>
  problems: Problem[]
}

export function overlay(layers: readonly Layer[]): Overlaid {
  const result: Overlaid = { given: new Map(), sections: new Map([[TOP, 'default']]), lists: new Map(), problems: [] }
  for (const layer of layers) {
    for (const [name, content] of Object.entries(layer.tables)) addEntry(result, layer, name, content)
  }
  return result
}

function addEntry(result: Overlaid, layer: Layer, name: string, content: unknown): void {
  if (LISTED.has(name)) {
    addList(result, layer, name, content)
    return
  }
  const section = name === TOP ? undefined : SECTIONS.get(name)
  if (section && isTable(content)) {
    if (!result.sections.has(name)) result.sections.set(name, layer.source)
    addSection(result, layer, name, section, content)
  } else if (section) {
    result.problems.push({
      key: name,
      source: layer.source,
      problem: 'is no section',
      expected: `[${name}] on a line of its own, its keys below`,
    })
  } else {
    addSection(result, layer, TOP, SECTIONS.get(TOP) as Section, { [name]: content })
  }
}

function addList({ lists, problems }: Overlaid, layer: Layer, name: string, content: unknown): void {
  const source = layer.sources?.[name] ?? layer.source
  if (Array.isArray(content) && content.every(isTable)) lists.set(name, { tables: content, source })
  else
    problems.push({
      key: name,
      source,
      problem: 'is no list of tables',
      expected: `[[${name}]] for each, its keys below`,
    })
}

function addSection(result: Overlaid, layer: Layer, name: string, section: Section, table: Record<string, unknown>) {
  const byKey = new Map<string, string>()
  for (const [written, value] of Object.entries(table)) {
    const key = canonical(section, written)
    const source = layer.sources?.[qualified(name, written)] ?? layer.source
    if (key === undefined) {
      result.problems.push(unknownKey(name, section, written, isTable(value), source))
      continue
    }
    const other = byKey.get(key)
    if (other !== undefined && table[other] !== value) {
      result.problems.push({
        key: qualified(name, written),
        source,
        problem: `is another name of ${other}, and the two differ`,
        expected: 'only one of them',
      })
    }
    byKey.set(key, written)
    setKey(result, layer, qualified(name, key), { value, source, binding: layer.binding === true })
  }
}

function setKey({ given, problems }: Overlaid, layer: Layer, key: string, next: Given): void {
  const before = given.get(key)
  if (before?.binding && !layer.binding) {
    problems.push({
      key,
      source: next.source,
      problem: `is set by ${before.source}`,
      expected: 'it to be left out here',
    })
    return
  }
  given.set(key, next)
}

function canonical(section: Section, written: string): string | undefined {
  if (Object.hasOwn(section.keys, written)) return written
  return Object.entries(section.keys).find(([, key]) => key.aliases?.includes(written))?.[0]
}

function unknownKey(name: string, section: Section, written: string, isSection: boolean, source: string): Problem {
  if (name === TOP && isSection) {
    const meant = nearest(written, [...[...SECTIONS.keys()].slice(1), ...LISTED.keys()])
    return {
      key: written,
      source,
      problem: `is no known section${didYouMean(meant)}`,
      expected: 'a section of the reference',
    }
  }
  const top = SECTIONS.get(TOP) as Section
  if (name !== TOP && Object.hasOwn(top.keys, written)) {
    const expected = 'it above the first [section] of the file'
    return { key: qualified(name, written), source, problem: `does not belong into [${name}]`, expected }
  }
  const names = Object.entries(section.keys).flatMap(([key, { aliases = [] }]) => [key, ...aliases])
  const meant = nearest(written, names) ?? elsewhere(written)
  return {
    key: qualified(name, written),
    source,
    problem: `is no known key${didYouMean(meant)}`,
    expected: name === TOP ? 'a key of the reference' : `a key of [${name}]`,
  }
}

const didYouMean = (meant: string | undefined) => (meant === undefined ? '' : ` (did you mean ${meant}?)`)

function elsewhere(key: string): string | undefined {
  for (const [name, section] of SECTIONS) if (Object.hasOwn(section.keys, key)) return qualified(name, key)
  return undefined
}

const isTable = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
