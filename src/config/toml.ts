/** Reads TOML; its errors name line and column and never quote the file, whose lines may hold secrets. */
import TOML from '@iarna/toml'

export class TomlSyntaxError extends Error {
  override readonly name = 'TomlSyntaxError'
  readonly line: number
  readonly column: number

  constructor(message: string, line: number, column: number) {
    super(message)
    this.line = line
    this.column = column
  }
}

/** @throws TomlSyntaxError */
export function parseToml(text: string): Record<string, unknown> {
  try {
    return TOML.parse(text.replace(/^\uFEFF/, ''))
  } catch (error) {
    if (!(error instanceof Error)) throw error
    const { line = 0, col = 0 } = error as { line?: number; col?: number }
    // Below its first line the parser's message shows the neighbouring lines of the file.
    const [summary = ''] = error.message.split('\n')
    throw new TomlSyntaxError(summary.replace(/ at row \d+, col \d+, pos \d+:?$/, ''), line + 1, col + 1)
  }
}
