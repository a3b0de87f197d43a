/** Gathers a configuration's layers: default file, the chosen file, environment, and what the command line sets. */
import { readFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { type Environment, readEnvironment } from './environment.ts'
import { type Judged, judge } from './judge.ts'
import type { Layer } from './layers.ts'
import type { Problem } from './problem.ts'
import { parseToml, TomlSyntaxError } from './toml.ts'

export type Surroundings = { env: Environment; cwd: string }

export type ReadOptions = Surroundings & {
  /** Instead of `<mode>.config.toml`. */
  file?: string | undefined
  /** Lies above everything else. */
  options?: Layer
}

/** Reads `default.config.toml` < the chosen file < environment < options, and judges it all. */
export function readConfiguration({ env, cwd, file, options }: ReadOptions): Judged & { file: string } {
  const mode = env['ISM_MODE'] || 'production'
  const path = file ?? join(cwd, `${mode}.config.toml`)
  if (file === undefined && !/^[\w-]+$/.test(mode)) {
    const problem = {
      key: 'ISM_MODE',
      source: 'ISM_MODE',
      problem: 'is no mode',
      expected: 'letters, digits and dashes',
    }
    return { config: undefined, problems: [problem], warnings: [], file: '' }
  }
  const chosen = readLayer(path, cwd)
  const below = join(dirname(resolve(cwd, path)), 'default.config.toml')
  const base = resolve(cwd, path) === below ? 'absent' : readLayer(below, cwd)
  const environment = readEnvironment(env, cwd)

  const problems: Problem[] = []
  const layers: Layer[] = []
  for (const layer of [base, chosen === 'absent' ? absent(path, cwd) : chosen]) {
    if (layer === 'absent') continue
    if ('tables' in layer) layers.push(layer)
    else problems.push(layer)
  }
  const complete = problems.length === 0
  const judged = judge([...layers, environment.layer, ...(options ? [options] : [])], { directory: cwd, complete })
  return {
    config: complete && environment.problems.length === 0 ? judged.config : undefined,
    problems: [...problems, ...environment.problems, ...judged.problems],
    warnings: [...environment.warnings, ...judged.warnings],
    file: shown(path, cwd),
  }
}

/** Judges a configuration that comes from no file: `base` with the environment on top. */
export function judgeWithEnvironment(base: readonly Layer[], { env, cwd }: Surroundings): Judged {
  const { layer, problems, warnings } = readEnvironment(env, cwd)
  const judged = judge([...base, layer], { directory: cwd })
  return {
    config: problems.length === 0 ? judged.config : undefined,
    problems: [...problems, ...judged.problems],
    warnings: [...warnings, ...judged.warnings],
  }
}

function readLayer(path: string, cwd: string): Layer | Problem | 'absent' {
  const source = shown(path, cwd)
  try {
    return { source, tables: parseToml(readFileSync(resolve(cwd, path), 'utf8')) }
  } catch (error) {
    if (error instanceof TomlSyntaxError) {
      const place = `${source}, line ${error.line}, column ${error.column}`
      return { key: basename(path), source: place, problem: `is no TOML: ${error.message}`, expected: 'TOML 0.5' }
    }
    const { code = 'unreadable' } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return 'absent'
    return { key: basename(path), source, problem: `cannot be read (${code})`, expected: 'a file that ISM may read' }
  }
}

const absent = (path: string, cwd: string): Problem => ({
  key: basename(path),
  source: resolve(cwd, path),
  problem: 'is missing',
  expected: 'a configuration file there (`ism init` makes one), or --config FILE',
})

function shown(path: string, cwd: string): string {
  const fromHere = relative(cwd, resolve(cwd, path))
  return fromHere.startsWith('..') ? resolve(cwd, path) : fromHere
}
