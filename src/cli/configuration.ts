/** How commands come by their configuration: the layers of this run, its warnings shown, its problems thrown. */
import type { Config } from '../config/config.ts'
import type { Layer } from '../config/layers.ts'
import { type Io, writeLine } from './io.ts'

export const CONFIG_OPTION = ['--config <file>', 'configuration file instead of <ISM_MODE>.config.toml'] as const

/** @throws ConfigurationError */
export async function configurationOf(io: Io, file: string | undefined, options?: Layer): Promise<Config> {
  const [{ readConfiguration }, { requireConfig }, { formatProblem }] = await Promise.all([
    import('../config/read.ts'),
    import('../config/judge.ts'),
    import('../config/problem.ts'),
  ])
  const judged = readConfiguration({ env: io.env, cwd: io.cwd, file, ...(options && { options }) })
  for (const warning of judged.warnings) writeLine(io.stderr, `warning: ${formatProblem(warning)}`)
  return requireConfig(judged)
}
