/** Request schemas, compiled once; what breaks one is named by field and rule. */
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'
import type { XStatic } from 'typebox/schema'
import { invalid } from '../shared/app-error.ts'
import { parseUuid } from '../shared/ids.ts'
import { parseTimestamp } from '../shared/timestamp.ts'

const ajv = new Ajv2020({ strict: true, allErrors: false })
// As in paths: ajv-formats would also take `urn:uuid:` before one, which no store does.
ajv.addFormat('uuid', { type: 'string', validate: (text) => parseUuid(text) !== undefined })
for (const name of ['timestamp', 'date-time'])
  ajv.addFormat(name, { type: 'string', validate: (text) => parseTimestamp(text) !== undefined })

/** The value that a JSON Schema (2020-12) describes. Schemas are written as literals: typebox is types alone, and loads nothing. */
type Described<Schema> = XStatic<Schema>

/**
 * Unknown fields pass, and `null` means absent, as the clients of ISM 0.7.9 rely on.
 * @returns a function that gives back the value, or throws AppError VALIDATION_ERROR
 */
export function validator<const Schema extends object>(schema: Schema): (value: unknown) => Described<Schema> {
  const validate = exactValidator(schema)
  return (value) => validate(withoutNulls(value))
}

/** As `validator`, but `null` is what the schema says it is. */
export function exactValidator<const Schema extends object>(schema: Schema): (value: unknown) => Described<Schema> {
  const validate = ajv.compile(schema) as ValidateFunction<Described<Schema>>
  return (value) => {
    if (validate(value)) return value
    throw invalid(describe(validate.errors?.[0]))
  }
}

/** @throws AppError VALIDATION_ERROR where the path's or query's `name` is no UUID */
export function requireUuid(value: unknown, name: string): string {
  const uuid = parseUuid(value)
  if (!uuid) throw invalid(`${name}: must be a UUID`)
  return uuid
}

/** @throws AppError VALIDATION_ERROR where the query's `name` is missing or no RFC 3339 time */
export function requireTimestamp(value: unknown, name: string): Date {
  const time = typeof value === 'string' ? parseTimestamp(value) : undefined
  if (!time) throw invalid(`${name}: must be an RFC 3339 time, such as 2026-01-31T12:00:00.000Z`)
  return time
}

/** `value` itself where it has none. */
function withoutNulls(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const object = value as Record<string, unknown>
  let copy: Record<string, unknown> | undefined
  for (const name in object) {
    const field = object[name]
    const kept = withoutNulls(field)
    if (kept === field && field !== null) continue
    copy ??= { ...object }
    if (field === null) delete copy[name]
    else copy[name] = kept
  }
  return copy ?? object
}

function describe(error: ErrorObject | undefined): string {
  if (!error) return 'The request breaks its schema.'
  const field = error.instancePath.slice(1).replaceAll('/', '.')
  if (error.keyword === 'required') {
    const missing = String(error.params['missingProperty'])
    return `${field ? `${field}.` : ''}${missing}: is required`
  }
  const rule = error.keyword === 'enum' ? `must be one of ${error.params['allowedValues'].join(', ')}` : error.message
  return `${field || 'body'}: ${rule}`
}
