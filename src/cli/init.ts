/** `ism init`: a commented configuration file to begin with. */
import { readFile, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { type Io, writeLine } from './io.ts'
import { addSubcommand } from './subcommand.ts'

const TEMPLATE = new URL('../../templates/production.config.toml', import.meta.url)

export function addInit(program: Command, io: Io): void {
  addSubcommand(program, 'init', {
    summary: 'write a commented configuration file',
    description: 'Writes a commented configuration file to begin with. Never overwrites one.',
    examples: [
      ['ism init', 'writes production.config.toml here'],
      ['ism init --file staging.config.toml', 'for ISM_MODE=staging'],
    ],
    exitCodes: ['the file is written', 'there is one already, or it cannot be written', 'wrong usage'],
  })
    .option('--file <file>', 'where to write it', 'production.config.toml')
    .action(async ({ file }: { file: string }) => {
      const path = resolve(io.cwd, file)
      try {
        // The file will hold passwords: nobody but its owner reads it.
        await writeFile(path, await readFile(TEMPLATE), { flag: 'wx', mode: 0o600 })
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
        throw new Error(`${file} exists already and was left as it is`)
      }
      writeLine(io.stdout, `${file} written; edit it, then try it with ism check-config --connect`)
    })
}
