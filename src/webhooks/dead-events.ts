/** Posts events that a receiver refused once more, by an operator's command; what is not accepted stays. */
import { deleteDeadDeliveries, listDeadDeliveries } from '../deliveries/dead-delivery-repository.ts'
import type { Queryable } from '../infra/postgres.ts'
import type { Receiver } from './receiver.ts'
import { AT_ONCE } from './webhook-deliveries.ts'
import { webhookTarget } from './webhook-projection.ts'

const PAGE = 100

/** Each once, oldest first, until none is left or the receiver is not there: an event may be one that it hangs on. */
export async function redeliverEvents(
  db: Queryable,
  name: string,
  receiver: Receiver,
): Promise<{ delivered: number; error: string | undefined }> {
  let [delivered, after, error] = [0, 0, undefined as string | undefined]
  let unansweredInRow = 0
  for (;;) {
    const page = await listDeadDeliveries(db, webhookTarget(name), after, PAGE)
    for (const { id, payload } of page) {
      const answer = await receiver.deliver(JSON.parse(payload))
      if (answer.outcome === 'accepted') {
        await deleteDeadDeliveries(db, [id])
        delivered++
      } else {
        error = answer.reason
      }
      unansweredInRow = answer.outcome === 'unanswered' ? unansweredInRow + 1 : 0
      if (unansweredInRow === AT_ONCE) return { delivered, error }
      after = id
    }
    if (page.length < PAGE) return { delivered, error }
  }
}
