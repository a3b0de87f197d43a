/** What is wrong with a configuration, as data. No problem ever quotes a configured text: it might be a secret. */

export type Problem = {
  /** `section.key`, or the file or variable that the problem is about. */
  key: string
  /** The file or the environment variable that says so. */
  source: string
  problem: string
  expected: string
}

/** Every problem of one configuration at once. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError'
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'))
    this.problems = problems
  }
}

export function formatProblem({ key, source, problem, expected }: Problem): string {
  const place = source === key ? '' : ` (${source})`
  return `${key}: ${problem}${place}; expected ${expected}`
}
