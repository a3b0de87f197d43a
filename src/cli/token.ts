/** `ism token`: a token for a person of the embedded server. */
import { resolve } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { parseDuration } from './duration.ts'
import { type Io, writeLine } from './io.ts'
import { addSubcommand } from './subcommand.ts'

export const DEFAULT_DATA_DIRECTORY = 'ism-data'

type TokenOptions = { displayName?: string; expires: number; data: string }

export function addToken(program: Command, io: Io): void {
  addSubcommand(program, 'token', {
    summary: 'print a token for a person of the embedded server',
    description:
      'Prints a token for a person of the server that `ism serve --embedded` runs; a new NAME makes a new person. ' +
      'The token goes to standard output, the id of the person to standard error.',
    examples: [
      ['ism token dave', 'a token that lasts an hour'],
      ['ism token dave --display-name "Dave B." --expires 7d', 'another display name, valid for a week'],
      ['TOKEN=$(ism token dave)', 'for a shell'],
    ],
    exitCodes: ['the token is printed', 'the data directory cannot be made or used', 'wrong usage'],
  })
    .argument('<name>', 'whom the token is for', parseName)
    .option('--display-name <text>', 'how others see the person')
    .addOption(
      new Option('--expires <duration>', 'how long it is valid: 90s, 15m, 1h, 7d')
        .argParser(parseDuration)
        .default(3600, '1h'),
    )
    .option('--data <dir>', 'data directory of the embedded server', DEFAULT_DATA_DIRECTORY)
    .action(async (name: string, { displayName, expires, data }: TokenOptions) => {
      const { developmentToken } = await import('../embedded/development-token.ts')
      const { token, userId } = await developmentToken({
        dataDirectory: resolve(io.cwd, data),
        name,
        ...(displayName !== undefined && { displayName }),
        expiresSeconds: expires,
      })
      writeLine(io.stderr, `${name} is ${userId}`)
      writeLine(io.stdout, token)
    })
}

/** No longer than src/embedded/people.ts takes it. */
function parseName(name: string): string {
  if (!/^[^\s\p{Cc}](?:[^\p{Cc}]{0,98}[^\s\p{Cc}])?$/u.test(name)) {
    throw new InvalidArgumentError('Expected a name of 1 to 100 characters.')
  }
  return name
}
