/** Posts events that a receiver refused once more, by an operator's command; what is not accepted stays. */
import { deleteDeadDeliveries, listDeadDeliveries } from '../deliveries/dead-delivery-repository.ts'
import type { Queryable } from '../infra/postgres.ts'
import type { Receiver } from './receiver.ts'
import { webhookTarget } from './webhook-projection.ts'

const PAGE = 100

/** Each once, oldest first, until none is left or the receiver is not there. */
export async function redeliverEvents(
  db: Queryable,
  name: string,
  receiver: Receiver,
): Promise<{ delivered: number; error: string | undefined }> {
  let [delivered, after, error] = [0, 0, undefined as string | undefined]
  for (;;) {
    const page = await listDeadDeliveries(db, webhookTarget(name), after, PAGE)
    for (const { id, payload } of page) {
      const answer = await receiver.deliver(JSON.parse(payload))
      if (answer.outcome === 'accepted') {
        await deleteDeadDeliveries(db, [id])
        delivered++
      } else {
        error = answer.reason
        if (answer.outcome === 'unanswered') return { delivered, error }
      }
      after = id
    }
    if (page.length < PAGE) return { delivered, error }
  }
}
