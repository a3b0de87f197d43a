/** `ism resume`: gets a projection going again that the log's retention left behind. */
import { type Command, Option } from 'commander'
import { CONFIG_OPTION, configurationOf } from './configuration.ts'
import { type Io, writeLine } from './io.ts'
import { addSubcommand } from './subcommand.ts'
import { withDatabase } from './with-database.ts'

type ResumeOptions = { config?: string; from: 'oldest' | 'now'; json?: boolean }

export function addResume(program: Command, io: Io): void {
  addSubcommand(program, 'resume <projection>', {
    summary: 'get a broken projection going again',
    description:
      'The log is kept for retention_hours. A projection other than the archive that is further behind is marked broken, ' +
      'and stands still: events that it has not had are gone. It goes on with the oldest event that there is, or with what ' +
      'comes from now on. ISM need not run; a node that does goes on within seconds.',
    examples: [
      ['ism resume push:http', 'from the oldest event that the log has'],
      ['ism resume push:http --from now', 'leaves out what has gathered'],
    ],
    exitCodes: ['it goes on', 'it is not broken, or there is no such projection', 'wrong usage'],
  })
    .option(...CONFIG_OPTION)
    .addOption(new Option('--from <place>', 'where it goes on').choices(['oldest', 'now']).default('oldest'))
    .option('--json', 'answer in JSON')
    .action((projection: string, options: ResumeOptions) => resume(projection, options, io))
}

async function resume(name: string, { config, from, json }: ResumeOptions, io: Io): Promise<void> {
  const [{ readLogState }, { resumeProjection }] = await Promise.all([
    import('../log/log-repository.ts'),
    import('../log/projection.ts'),
  ])
  const seq = await withDatabase(await configurationOf(io, config), async (db) => {
    const { headSeq, trimmedSeq } = await readLogState(db)
    const seq = from === 'now' ? headSeq : trimmedSeq
    if (!(await resumeProjection(db, name, seq))) throw new Error(`there is no broken projection "${name}"`)
    return seq
  })
  if (json) writeLine(io.stdout, JSON.stringify({ projection: name, seq }))
  else writeLine(io.stdout, `${name} goes on after seq ${seq}`)
}
