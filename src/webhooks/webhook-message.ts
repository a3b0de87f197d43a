/** What a receiver is sent of an event: the same bytes at each try, whoever sends them. */
import { EventType, type LogEvent } from '../log/event.ts'
import { eventJson } from '../log/event-json.ts'

export type WebhookMessage = {
  /** `webhook-id`: the same for the same event of the same log. */
  id: string
  /** JSON. */
  body: string
}

const NAMES = new Map<EventType, string>(
  Object.entries(EventType).map(([name, number]): [EventType, string] => [number, name]),
)

/** @param epoch the log's */
export function webhookMessage(event: LogEvent, epoch: string): WebhookMessage {
  const recipients = event.recipients === null ? 'null' : JSON.stringify(event.recipients)
  const roomId = event.roomId === null ? 'null' : `"${event.roomId}"`
  return {
    id: `evt_${epoch}_${event.seq}`,
    body: `{"type":"${NAMES.get(event.type)}","timestamp":"${event.loggedAt.toISOString()}","data":{"event":${eventJson(event, epoch, false)},"roomId":${roomId},"recipients":${recipients}}}`,
  }
}
