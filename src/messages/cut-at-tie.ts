/** Where a page of messages ends: after `limit`, but never between messages of one time. */
import type { MessageRow } from '../log/event-json.ts'

/**
 * @param messages newest first, one more than `limit` where there are so many
 * @param readAt all messages of one time, of which `messages` may lack some
 */
export async function cutAtTie(
  messages: MessageRow[],
  limit: number,
  readAt: (createdAt: Date) => Promise<MessageRow[]>,
): Promise<MessageRow[]> {
  const last = messages[limit - 1]
  const next = messages[limit]
  if (!last || !next || last.createdAt.getTime() !== next.createdAt.getTime()) return messages.slice(0, limit)
  const newer = messages.filter(({ createdAt }) => createdAt.getTime() > last.createdAt.getTime())
  return [...newer, ...(await readAt(last.createdAt))]
}
