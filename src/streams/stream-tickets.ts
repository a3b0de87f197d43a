/** Tickets: secrets for a URL that open one stream, where a client can send no headers. */
import { createHash, randomBytes } from 'node:crypto'
import { type Batches, createBatches, MAX_SHARED, SHARED } from '../infra/batches.ts'
import type { Queryable } from '../infra/postgres.ts'
import { unauthenticated } from '../shared/app-error.ts'
import {
  deleteOldTickets,
  insertTicket,
  releaseTicket,
  type TicketOpening,
  type TicketUse,
  type UsedTicket,
  useTickets,
} from './ticket-repository.ts'

const SECRET_BYTES = 32
const TICKET = /^[\w-]{43}$/
/** The last moment that RFC 3339 can write. */
const MAX_TIME = Date.parse('9999-12-31T23:59:59.999Z')

export type OpenedByTicket = {
  user: { id: string; displayName: string }
  /** `exp` of the token that the ticket was given for, in milliseconds since the epoch. */
  expiresAt: number
  ticket: TicketUse
}

export class StreamTickets {
  readonly #db: Queryable
  readonly #streams: Queryable
  readonly #leewaySeconds: number
  readonly #uses: Batches<TicketOpening, UsedTicket | undefined>

  /** @param streams for what is asked where a stream opens or ends, as thousands do at once */
  constructor(db: Queryable, streams: Queryable, leewaySeconds: number) {
    this.#db = db
    this.#streams = streams
    this.#leewaySeconds = leewaySeconds
    this.#uses = createBatches({
      ...SHARED,
      fitting,
      run: (openings) => this.#useAll(openings),
    })
  }

  /** A ticket for whoever bears this token. `expiresAt`: when it has to be used first. */
  async issue(token: { userId: string; expiresAt: number }): Promise<{ ticket: string; expiresAt: Date }> {
    const ticket = randomBytes(SECRET_BYTES).toString('base64url')
    const openUntil = await insertTicket(this.#db, {
      hash: hashOf(ticket),
      userId: token.userId,
      expiresAt: atMost(token.expiresAt),
      validUntil: atMost(token.expiresAt + this.#leewaySeconds * 1_000),
    })
    return { ticket, expiresAt: openUntil }
  }

  /**
   * @param resumes whether the client names an event that it has had
   * @throws AppError UNAUTHENTICATED for a ticket that opens nothing, without saying why
   */
  async use(ticket: string, resumes: boolean): Promise<OpenedByTicket> {
    if (!TICKET.test(ticket)) throw unauthenticated()
    const hash = hashOf(ticket)
    const used = await this.#uses.add({ hash, resumes })
    if (!used) throw unauthenticated()
    const { userId, displayName, expiresAt, opening } = used
    return { user: { id: userId, displayName }, expiresAt: expiresAt.getTime(), ticket: { hash, opening } }
  }

  /** For a use that opened no stream, or whose stream is over. Where it fails, the client needs another ticket. */
  async giveBack(use: TicketUse): Promise<void> {
    await releaseTicket(this.#streams, use).catch(() => {})
  }

  deleteOld(): Promise<void> {
    return deleteOldTickets(this.#db)
  }

  #useAll(openings: TicketOpening[]): Promise<(UsedTicket | undefined)[]> {
    // As tokens are judged, to the second: src/auth/token-verifier.ts.
    const validAfter = new Date((Math.floor(Date.now() / 1_000) - this.#leewaySeconds) * 1_000)
    return useTickets(this.#streams, openings, validAfter)
  }
}

/** A ticket at most once, as one statement can open it once. */
function fitting(waiting: Iterable<TicketOpening>): number {
  const hashes = new Set<string>()
  for (const { hash } of waiting) {
    if (hashes.has(hash) || hashes.size === MAX_SHARED) break
    hashes.add(hash)
  }
  return hashes.size
}

function atMost(time: number): Date {
  return new Date(Math.min(time, MAX_TIME))
}

function hashOf(ticket: string): string {
  return createHash('sha256').update(ticket).digest('hex')
}
