/** What a bench is, and what it hands back: numbers by round, from which the suite makes tables, charts and verdicts. */

/** One number a round. */
export type Series = readonly number[]

export type Column = { head: string; digits: number }

export type Row = {
  /** What the row is of; as many as the table has `labels`. */
  labels: (string | number)[]
  /** As many as the table has `columns`; `undefined`: does not apply to this row. */
  values: (Series | undefined)[]
}

export type Table = { title: string; labels: string[]; columns: Column[]; rows: Row[] }

export type Bar = { label: string; side: string; series: Series }

export type Chart = { name: string; title: string; unit: string; bars: Bar[] }

export type Target = {
  what: string
  /** What `what` is divided by; left out where the target is no ratio. */
  against?: string
  bound: 'at least' | 'at most'
  value: number
  /** `×` for a ratio. */
  unit: '×' | 'µs' | 'ms' | 's' | ''
}

export type Outcome<TargetName extends string = string> = {
  tables: Table[]
  /** What each target came to, by round. Each target is here or in `skipped`. */
  reached: Partial<Record<TargetName, Series>>
  skipped?: { what: string; targets: TargetName[]; why: string }[]
  charts?: Chart[]
}

type SettingValue = number | readonly number[]

/** A number, or a list of them, that `--<name>` of the command line replaces; `small`: for a run of seconds. */
export type Setting = { full: SettingValue; small: SettingValue; doc: string }

export type Settings = Readonly<Record<string, Setting>>

type Widened<Value> = Value extends readonly number[] ? readonly number[] : number

export type Chosen<S extends Settings> = { readonly [Name in keyof S]: Widened<S[Name]['full']> }

export type Context<S extends Settings> = {
  settings: Chosen<S>
  /** Tells whoever watches what goes on. */
  say(line: string): void
  /** For processes of ISM: Node options that write a CPU profile where one was asked for. */
  profiling: string[]
}

export type Bench<S extends Settings = Settings, TargetName extends string = string> = {
  name: string
  /** One sentence: what is measured, and against what. */
  about: string
  settings: S
  targets: Readonly<Record<TargetName, Target>>
  run(context: Context<S>): Promise<Outcome<NoInfer<TargetName>>>
}

/** Keeps the names of settings and targets, so that `run` is checked against them. */
export function defineBench<const S extends Settings, const TargetName extends string>(
  bench: Bench<S, TargetName>,
): Bench<S, TargetName> {
  return bench
}
