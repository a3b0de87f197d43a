/** A backend that events are posted to: it takes only what the public library for Standard Webhooks verifies. */
import type { ServerResponse } from 'node:http'
import { Webhook } from 'standardwebhooks'
import type { WebhookReceiver } from '../../src/config/config.ts'
import type { EventName } from '../../src/shared/event-name.ts'
import { eventually } from './eventually.ts'
import { HttpReceiver, type Received } from './http-receiver.ts'
import { newSecret } from './signed-request.ts'

export type Message = {
  type: string
  timestamp: string
  // biome-ignore lint/suspicious/noExplicitAny: events are judged by what a test expects of them
  data: { event: any; roomId: string | null; recipients: string[] | null }
}

/** A message as it came, with what `answering` made of it. */
export type Delivery = Message & { id: string; status: number; received: Received }

export class WebhookServer {
  readonly http = new HttpReceiver()
  readonly name: string
  readonly secret = newSecret()
  /** Every request, in the order in which it was answered. */
  readonly deliveries: Delivery[] = []
  /** What no secret verified. */
  readonly forged: Received[] = []
  /** The status; where it answers by itself, what it answered. */
  answering: (message: Message, res: ServerResponse) => number | Promise<number> = () => 204

  constructor(name: string) {
    this.name = name
    this.http.answer = async (received, res) => {
      let message: Message
      try {
        message = new Webhook(this.secret).verify(received.body, received.headers as Record<string, string>) as Message
      } catch {
        this.forged.push(received)
        res.writeHead(401).end()
        return
      }
      const status = await this.answering(message, res)
      this.deliveries.push({ ...message, id: String(received.headers['webhook-id']), status, received })
      if (!res.headersSent) res.writeHead(status).end()
    }
  }

  async start(): Promise<this> {
    await this.http.start()
    return this
  }

  stop(): Promise<void> {
    return this.http.stop()
  }

  config(events: EventName[], more: Partial<WebhookReceiver> = {}): WebhookReceiver {
    const { name, secret, http } = this
    return { name, url: http.url, secrets: [secret], events, allowPrivate: true, timeoutMs: 5_000, ...more }
  }

  /** What it has taken, each once, in the order in which it was first taken. */
  get taken(): Delivery[] {
    const ids = new Set<string>()
    return this.deliveries.filter(({ id, status }) => status >= 200 && status < 300 && !ids.has(id) && ids.add(id))
  }

  async next(matches: (delivery: Delivery) => boolean, what = 'a webhook'): Promise<Delivery> {
    await eventually(what, async () => this.taken.some(matches), 15_000)
    return this.taken.find(matches) as Delivery
  }

  async count(number: number, milliseconds = 15_000): Promise<Delivery[]> {
    await eventually(`${number} webhooks`, async () => this.taken.length >= number, milliseconds)
    return this.taken
  }
}
