/** A webhook as a projection of the log: its position follows what its receiver has taken, or refused for good. */
import type { WebhookReceiver } from '../config/config.ts'
import { insertDeadDeliveries } from '../deliveries/dead-delivery-repository.ts'
import type { Queryable } from '../infra/postgres.ts'
import { EventType } from '../log/event.ts'
import type { Projection } from '../log/projector.ts'
import type { Receiver } from './receiver.ts'
import { createWebhookDeliveries, type DeliveryObserver, type WebhookDeliveriesOptions } from './webhook-deliveries.ts'

export type WebhookProjectionOptions = Pick<
  WebhookDeliveriesOptions,
  'epoch' | 'mayDeliver' | 'drained' | 'backOff'
> & { observe: DeliveryObserver }

/** Fewer than others read: a receiver takes far less than the log gives, and what is read is held in memory. */
const PAGE_EVENTS = 500

/** What its projection and its dead deliveries are called. */
export const webhookTarget = (name: string): string => `webhook:${name}`

/** A new one begins with what is appended after it. */
export function createWebhookProjection(
  db: Queryable,
  { name, events: kinds }: Pick<WebhookReceiver, 'name' | 'events'>,
  receiver: Receiver,
  options: WebhookProjectionOptions,
): Projection {
  const target = webhookTarget(name)
  const wanted = new Set<EventType>(kinds.map((kind) => EventType[kind]))
  const deliveries = createWebhookDeliveries(receiver, {
    ...options,
    name,
    async bury(seq, message, reason, attempts) {
      await insertDeadDeliveries(db, [{ target, seq, payload: JSON.stringify(message), reason, attempts }])
    },
  })
  return {
    name: target,
    begins: 'head',
    pageEvents: PAGE_EVENTS,
    underWay: deliveries,
    async apply(events) {
      deliveries.add(events.filter(({ type }) => wanted.has(type)))
    },
  }
}
