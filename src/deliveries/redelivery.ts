/** Tries dead deliveries again, by an operator's command. */
import type { Queryable } from '../infra/postgres.ts'
import type { Answer } from './answer.ts'
import { type DeadDelivery, deleteDeadDeliveries, listDeadDeliveries } from './dead-delivery-repository.ts'

export type Redelivered = {
  delivered: number
  /** They stay, as do those after an unanswered one. */
  refused: number
  /** Why it ended early: the receiver is not there. */
  unanswered: string | undefined
  /** The last reason for which one was refused. */
  reason: string | undefined
}

const PAGE = 100

/** Each of the target's once, oldest first; what is accepted is deleted. */
export async function redeliver(
  db: Queryable,
  target: string,
  deliver: (dead: DeadDelivery) => Promise<Answer>,
): Promise<Redelivered> {
  const result: Redelivered = { delivered: 0, refused: 0, unanswered: undefined, reason: undefined }
  for (let after = 0; ; ) {
    const page = await listDeadDeliveries(db, target, after, PAGE)
    for (const dead of page) {
      const answer = await deliver(dead)
      if (answer.outcome === 'unanswered') return { ...result, unanswered: answer.reason }
      after = dead.id
      if (answer.outcome === 'refused') {
        result.refused++
        result.reason = answer.reason
      } else {
        await deleteDeadDeliveries(db, [dead.id])
        result.delivered++
      }
    }
    if (page.length < PAGE) return result
  }
}
