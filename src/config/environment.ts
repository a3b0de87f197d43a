/** The configuration's layer of environment variables: `ISM_KEY`, `ISM_SECTION__KEY`, and `…_FILE` for secrets. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Layer } from './layers.ts'
import type { Problem } from './problem.ts'
import { LISTED, qualified, SECTIONS, TOP } from './schema.ts'
import { nearest } from './suggestion.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** Without a `key`: all tables of a list, in JSON. */
type Target = { section: string; key?: string }

/** Variables that are not for the configuration, and those that Kubernetes makes for a service named `ism`. */
const NOT_OURS = /^ISM_(?:MODE$|TEST_|SERVICES_|SERVICE_(?:HOST|PORT)|PORT_\d+_)/

export function readEnvironment(
  env: Environment,
  directory: string,
): { layer: Layer; problems: Problem[]; warnings: Problem[] } {
  const tables: Record<string, Record<string, unknown> | unknown> = {}
  const sources: Record<string, string> = {}
  const problems: Problem[] = []
  const warnings: Problem[] = []
  for (const [variable, text] of Object.entries(env)) {
    // Compose and Kubernetes set a variable to nothing where there is no value for it.
    if (!variable.startsWith('ISM_') || text === undefined || text === '' || NOT_OURS.test(variable)) continue
    const base = variable.endsWith('_FILE') ? variable.slice(0, -'_FILE'.length) : undefined
    const target = TARGETS.get(variable) ?? (base === undefined ? undefined : TARGETS.get(base))
    if (!target) {
      // Two underscores, or a name that resembles a known one, is meant for ISM and must not be lost.
      const unknown = unknownVariable(variable)
      const isMeantForIsm = variable.includes('__') || unknown.problem.includes('did you mean')
      ;(isMeantForIsm ? problems : warnings).push(unknown)
    } else if (variable === 'ISM_PORT' && text.startsWith('tcp://')) {
      warnings.push(serviceLink())
    } else {
      const name = target.key === undefined ? target.section : qualified(target.section, target.key)
      const value = valueFor(target, TARGETS.has(variable) ? { value: text } : readValue(text, directory))
      const earlier = sources[name]
      if ('problem' in value) {
        problems.push({ key: name, source: variable, ...value })
      } else if (earlier !== undefined) {
        problems.push({
          key: name,
          source: variable,
          problem: `is also set by ${earlier}`,
          expected: 'only one of them',
        })
      } else {
        sources[name] = variable
        setValue(tables, target, value.value)
      }
    }
  }
  return { layer: { source: 'environment', tables, sources }, problems, warnings }
}

/** The variables that set a key, the documented one first. */
export function variablesOf(section: string, key: string): string[] {
  const upper = key.toUpperCase()
  if (section !== TOP) return [`ISM_${section.toUpperCase()}__${upper}`]
  return upper.startsWith('ISM_') ? [upper, `ISM_${upper}`] : [`ISM_${upper}`]
}

/** The variable that sets all tables of a list. */
export const variableOfList = (name: string): string => `ISM_${name.toUpperCase()}`

const TARGETS: ReadonlyMap<string, Target> = new Map([
  ...[...LISTED.keys()].map((name): [string, Target] => [variableOfList(name), { section: name }]),
  ...[...SECTIONS].flatMap(([section, { keys }]) =>
    Object.entries(keys).flatMap(([key, { aliases = [] }]) =>
      [key, ...aliases].flatMap((name) =>
        variablesOf(section, name).map((variable): [string, Target] => [variable, { section, key: name }]),
      ),
    ),
  ),
])

function setValue(tables: Record<string, unknown>, { section, key }: Target, value: unknown): void {
  if (key === undefined) {
    tables[section] = value
  } else if (section === TOP) {
    tables[key] = value
  } else {
    tables[section] = { ...(tables[section] as object | undefined), [key]: value }
  }
}

type Value<T> = { value: T } | { problem: string; expected: string }

function valueFor({ key }: Target, text: Value<string>): Value<unknown> {
  if (key !== undefined || 'problem' in text) return text
  try {
    return { value: JSON.parse(text.value) }
  } catch {
    // The parser's message quotes the text, which holds secrets.
    return { problem: 'is no JSON', expected: 'a list of objects in JSON' }
  }
}

function readValue(path: string, directory: string): Value<string> {
  try {
    return { value: readFileSync(resolve(directory, path), 'utf8').replace(/\r?\n$/, '') }
  } catch (error) {
    const { code = 'unreadable' } = error as NodeJS.ErrnoException
    return { problem: `cannot be read from the file that is named (${code})`, expected: 'the path of a readable file' }
  }
}

function unknownVariable(variable: string): Problem {
  const meant = nearest(variable, TARGETS.keys())
  return {
    key: variable,
    source: variable,
    problem: `is no known variable${meant === undefined ? '' : ` (did you mean ${meant}?)`}`,
    expected: 'ISM_KEY or ISM_SECTION__KEY with a key of the reference',
  }
}

const serviceLink = (): Problem => ({
  key: 'ism_port',
  source: 'ISM_PORT',
  problem: "is Kubernetes' link to a service named ism, and ignored",
  expected: 'enableServiceLinks: false, or another name for the service',
})
