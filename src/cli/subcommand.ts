/** What every subcommand has alike: a help page with examples and exit codes, and where its errors point. */
import type { Command } from 'commander'

export type SubcommandText = {
  summary: string
  description: string
  /** Command lines, each with what it does. */
  examples: readonly (readonly [commandLine: string, meaning: string])[]
  /** Meanings of 0, 1 and 2 in their order. */
  exitCodes: readonly [string, string, string]
}

/** `parent`: the program, or a command that only gathers others. */
export function addSubcommand(parent: Command, usage: string, text: SubcommandText): Command {
  const command = parent.command(usage).summary(text.summary).description(text.description)
  const width = Math.max(...text.examples.map(([commandLine]) => commandLine.length))
  const examples = text.examples.map(([commandLine, meaning]) => `  ${commandLine.padEnd(width)}  ${meaning}`)
  const exitCodes = text.exitCodes.map((meaning, code) => `  ${code}  ${meaning}`)
  command.addHelpText('after', ['', 'Examples:', ...examples, '', 'Exit codes:', ...exitCodes].join('\n'))
  // Stands behind the message, on the same line.
  const name = parent.parent ? `${parent.name()} ${command.name()}` : command.name()
  return command.showHelpAfterError(` (see ism ${name} --help)`)
}
