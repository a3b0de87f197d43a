/** What the rules that look at several keys of the configuration work on. */
import type { Overlaid } from './layers.ts'
import type { Problem } from './problem.ts'
import type { Values } from './schema.ts'

export type Judgement = Overlaid & { values: Values; warnings: Problem[] }
