/** Writes the files that are generated from tables and schemas of the sources; with `--check` only says which are stale. */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { NOTIFICATION_SCHEMA } from '../notifications/notification-schema.ts'
import { reference, template } from './describe.ts'

const GENERATED = [
  { path: 'docs/configuration.md', content: reference() },
  { path: 'templates/production.config.toml', content: template() },
  { path: 'docs/schemas/notification.json', content: jsonSchema(NOTIFICATION_SCHEMA) },
]

const isCheck = process.argv.includes('--check')

for (const { path, content } of GENERATED) {
  const file = fileURLToPath(new URL(`../../${path}`, import.meta.url))
  if (currentContent(file) === content) continue
  if (isCheck) {
    process.stderr.write(`${path} is stale: run npm run generate\n`)
    process.exitCode = 1
  } else {
    writeFileSync(file, content)
    process.stderr.write(`${path} written\n`)
  }
}

function currentContent(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

function jsonSchema(schema: object): string {
  return `${JSON.stringify({ $schema: 'https://json-schema.org/draft/2020-12/schema', ...schema }, null, 2)}\n`
}
