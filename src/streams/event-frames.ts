/** An event as the bytes of a server-sent event (WHATWG HTML, section 9.2), made once and shared by every stream. */
import { encodeCursor } from '../log/cursor.ts'
import type { LogEvent } from '../log/event.ts'
import { eventJson, hasSenderView, type ResyncReason, resyncJson } from '../log/event-json.ts'

export class EventFrames {
  readonly #epoch: string
  /** Weak: a frame lives as long as the event is kept in memory. */
  readonly #shared = new WeakMap<LogEvent, Buffer>()

  constructor(epoch: string) {
    this.#epoch = epoch
  }

  /**
   * The frame of `event` as `userId` sees it; without one, as everybody does but its sender, whose own is not kept: it is
   * written to few streams.
   */
  of(event: LogEvent, userId?: string): Buffer {
    if (userId !== undefined && hasSenderView(event) && event.senderId === userId) return this.#make(event, true)
    let frame = this.#shared.get(event)
    if (!frame) {
      frame = this.#make(event, false)
      this.#shared.set(event, frame)
    }
    return frame
  }

  /** The frames of several events, as everybody sees them but their senders. */
  ofAll(events: LogEvent[]): Buffer {
    return events.length === 1 && events[0] ? this.of(events[0]) : Buffer.concat(events.map((event) => this.of(event)))
  }

  /** A named event, which `onmessage` handlers do not see: it moves the client's cursor only. */
  cursor(seq: number): Buffer {
    return Buffer.from(`event: cursor\nid: ${this.#id(seq)}\ndata: {}\n\n`)
  }

  resync(reason: ResyncReason, seq: number): Buffer {
    const eventId = this.#id(seq)
    return Buffer.from(`id: ${eventId}\ndata: ${resyncJson(reason, eventId)}\n\n`)
  }

  #make(event: LogEvent, forSender: boolean): Buffer {
    return Buffer.from(`id: ${this.#id(event.seq)}\ndata: ${eventJson(event, this.#epoch, forSender)}\n\n`)
  }

  #id(seq: number): string {
    return encodeCursor({ epoch: this.#epoch, seq })
  }
}

/** A named event without an id, so that it leaves the client's cursor where it is. */
export function authExpiringFrame(expiresAt: number): Buffer {
  return Buffer.from(`event: auth-expiring\ndata: ${JSON.stringify({ expiresAt: new Date(expiresAt) })}\n\n`)
}

export const KEEP_ALIVE = Buffer.from(': keep-alive\n\n')

const RECONNECT_MS = { from: 1_000, to: 3_000 }

/** How long the client waits before it reconnects: spread, so that a node's clients do not all come at once. */
export function retryFrame({ from, to } = RECONNECT_MS): Buffer {
  return Buffer.from(`retry: ${from + Math.floor(Math.random() * (to - from))}\n\n`)
}
