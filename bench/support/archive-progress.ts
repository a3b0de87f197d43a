/** How far the archive of a database is. */
import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'

export type Progress = { head: number; archived: number }

export async function archiveProgress(sql: pg.Client): Promise<Progress> {
  const { rows } = await sql.query<{ head: string; archived: string }>({
    name: 'archive-progress',
    text: `select coalesce((select max(seq) from event), 0) as head,
      coalesce((select seq from projection where name = 'archive'), 0) as archived`,
  })
  return { head: Number(rows[0]?.head), archived: Number(rows[0]?.archived) }
}

/** @param meanwhile is called at each look */
export async function untilArchived(sql: pg.Client, meanwhile: () => void = () => {}): Promise<void> {
  for (;;) {
    meanwhile()
    const { head, archived } = await archiveProgress(sql)
    if (archived >= head) return
    await delay(20)
  }
}
