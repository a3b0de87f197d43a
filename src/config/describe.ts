/** Writes the configuration's table for people: the reference in Markdown and the commented template. */
import { variableOfList, variablesOf } from './environment.ts'
import { type Key, LISTED, SECTIONS, type Section, TOP } from './schema.ts'

const INTRODUCTION = `# Configuration

Generated from \`src/config/schema.ts\` by \`npm run generate\`; changes belong there.

## Where values come from

Each layer overrides what the ones before it say:

1. the defaults below;
2. \`default.config.toml\`, where one lies beside the chosen file;
3. the chosen file: \`<mode>.config.toml\` in the working directory, with the mode from \`ISM_MODE\`
   (default \`production\`), or the file that \`--config\` names;
4. environment variables, named in the tables below. One that is empty counts as not set. With \`_FILE\`
   appended to its name, a variable holds the path of a file with the value, for instance
   \`ISM_USER_DB_CONFIG__DB_PASSWORD_FILE=/run/secrets/db_password\`; one final line break is dropped.
   A variable and its \`_FILE\` together are refused;
5. options of the command line.

A list of tables such as \`[[webhooks]]\` is overridden as a whole; its variable holds a list of objects in JSON.

In a variable, lists have commas between their items. Numbers may stand in quotes in a file. Relative paths
are relative to the working directory. Unknown keys are refused, and so is an unknown \`ISM_\` variable that
has two underscores or resembles a known one; other unknown \`ISM_\` variables are warned of. \`ISM_MODE\`, and
names that begin with \`ISM_TEST_\` or \`ISM_SERVICES_\`, are not for the configuration.

\`ism check-config\` reports every problem at once; \`ism init\` writes a commented file to begin with.
`

/** docs/configuration.md */
export function reference(): string {
  const sections = [...SECTIONS].map(([name, section]) => {
    const title = name === TOP ? '## Top level' : `## [${name}]`
    const rows = Object.entries(section.keys).map(([key, spec]) => referenceRow(key, variablesOf(name, key)[0], spec))
    return [title, sectionNotes(section), referenceTable(rows)].join('\n\n')
  })
  const lists = [...LISTED].map(([name, list]) => {
    const rows = Object.entries(list.keys).map(([key, spec]) => referenceRow(key, undefined, spec))
    const notes = `${list.doc} In a variable: \`${variableOfList(name)}\`, or \`${variableOfList(name)}_FILE\`.`
    return [`## [[${name}]]`, notes, referenceTable(rows)].join('\n\n')
  })
  return `${[INTRODUCTION.trimEnd(), ...sections, ...lists].join('\n\n')}\n`
}

const referenceTable = (rows: string[]) =>
  ['| key | value | default | meaning |', '|---|---|---|---|', ...rows].join('\n')

const UNUSED = 'Not used by this version.'

const sectionNotes = ({ doc, required, unused }: Section) =>
  joined([doc, required ? 'Required.' : '', unused ? UNUSED : ''])

const joined = (sentences: string[]) => sentences.filter((sentence) => sentence !== '').join(' ')

function referenceRow(name: string, variable: string | undefined, key: Key): string {
  const fallback = key.required ? '*required*' : key.default === undefined ? '' : `\`${literal(key.default)}\``
  const notes = [
    key.doc,
    key.aliases ? `Also named ${key.aliases.map((alias) => `\`${alias}\``).join(', ')}.` : '',
    key.secret ? 'Secret: never shown.' : '',
    key.unused ? UNUSED : '',
  ]
  const names = `\`${name}\`${variable === undefined ? '' : `<br>\`${variable}\``}`
  const cells = [names, key.type.expected, fallback, joined(notes)].map((cell) => cell.replaceAll('|', '\\|'))
  return `| ${cells.join(' | ')} |`
}

/** templates/production.config.toml: what must be set stands there, the rest as comments with its default. */
export function template(): string {
  const sections = [...SECTIONS]
    .filter(([, section]) => !section.unused)
    .map(([name, section]) => {
      const isOpen = name === TOP || section.required === true
      const isWhole = isOpen || Object.values(section.keys).every((key) => !key.required)
      const head = name === TOP ? [] : [`# ${section.doc}`, `${isWhole ? '' : '# '}[${name}]`]
      return [...head, ...templateEntries(section, isOpen)].join('\n')
    })
  const lists = [...LISTED].map(([name, list]) =>
    [`# ${list.doc}`, `# [[${name}]]`, ...templateEntries(list, false)].join('\n'),
  )
  const introduction = [
    '# Configuration of ISM. "#:" explains the key below it; a key behind "# " may be left out and shows its default',
    '# or an example.',
    '# Every key is explained in docs/configuration.md; `ism check-config --connect` tries what stands here.',
    '# Keep this file readable only by ISM, or put secrets into files that ISM_..._FILE variables name.',
  ].join('\n')
  return `${[introduction, ...sections, ...lists].join('\n\n')}\n`
}

/** Active beside the required keys, so that the template is whole as it stands and shows what is most often set. */
const ACTIVE_OPTIONAL = new Set(['ism_url', 'ism_port', 'log_level', 'cors_origin', 'iss_host', 'iss_realm', 'db_port'])

function templateEntries({ keys }: Section, isOpen: boolean): string[] {
  return Object.entries(keys)
    .filter(([, key]) => !key.unused)
    .map(([name, key]) => {
      const isActive = isOpen && (key.required === true || ACTIVE_OPTIONAL.has(name))
      return `${wrapped(key.doc)}\n${isActive ? '' : '# '}${name} = ${literal(key.example ?? key.default)}`
    })
}

function wrapped(text: string): string {
  const lines = ['#:']
  for (const word of text.split(' ')) {
    const line = `${lines.at(-1)} ${word}`
    if (line.length > 110) lines.push(`#: ${word}`)
    else lines[lines.length - 1] = line
  }
  return lines.join('\n')
}

/** A value as TOML writes it; JSON's texts, numbers and arrays of them are TOML's too. */
const literal = (value: unknown) => JSON.stringify(value)?.replaceAll('","', '", "') ?? ''
