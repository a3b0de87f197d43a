/** How `ism migrate` and `ism init-keyspace` show how far a database is. */
import { type Io, writeLine } from './io.ts'

export type SchemaStatus = { applied: string[]; pending: string[]; unknown: string[] }

/** @param what the noun for it, with its article; @param remedy the command that brings it on */
export async function printSchemaStatus(status: SchemaStatus, what: string, remedy: string, io: Io): Promise<void> {
  const { default: Table } = await import('cli-table3')
  const rows = (['applied', 'pending', 'unknown'] as const).flatMap((state) =>
    status[state].map((name) => [state, name]),
  )
  const table = new Table({ head: ['state', 'migration'], style: { head: [], border: [], compact: true } })
  table.push(...rows)
  writeLine(io.stdout, table.toString())
  writeLine(io.stdout, summary(status, what, remedy))
}

function summary({ pending, unknown }: SchemaStatus, what: string, remedy: string): string {
  if (unknown.length > 0) return `${what} is newer than this version of ISM`
  return pending.length > 0 ? `${what} is behind: run ${remedy}` : `${what} is up to date`
}

export function appliedCount(count: number): string {
  return count === 0 ? 'nothing to do' : `${count} ${count === 1 ? 'migration' : 'migrations'} applied`
}
