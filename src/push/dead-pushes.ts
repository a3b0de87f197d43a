/** Delivers pushes that were given up, now; what is not taken stays. */
import { type DeadDelivery, deleteDeadDeliveries, listDeadDeliveries } from '../deliveries/dead-delivery-repository.ts'
import type { Queryable } from '../infra/postgres.ts'
import { type Push, sizeOf } from './push.ts'
import type { PushTarget } from './push-target.ts'

export type Redelivery = {
  delivered: number
  refused: { seq: number; reason: string }[]
  /** Why the others were not tried. */
  unanswered: string | undefined
}

type Dead = { id: number; push: Push }

export async function redeliver(
  db: Queryable,
  target: PushTarget,
  tried: (count: number) => void,
): Promise<Redelivery> {
  const result: Redelivery = { delivered: 0, refused: [], unanswered: undefined }
  const { signal } = new AbortController()
  /** The last one alone without an answer: what is accepted after it shows that it is about that one. */
  let suspect: Redelivery['refused'][number] | undefined

  function refuse(...refused: Redelivery['refused']): void {
    tried(refused.length)
    result.refused.push(...refused)
  }

  /** @returns false where the target takes nothing at present */
  async function deliver(dead: Dead[]): Promise<boolean> {
    const answer = await target.send(
      dead.map(({ push }) => push),
      signal,
    )
    const [first] = dead
    if (answer.outcome === 'accepted' || !first) {
      if (suspect) refuse(suspect)
      suspect = undefined
      tried(dead.length)
      await deleteDeadDeliveries(
        db,
        dead.map(({ id }) => id),
      )
      result.delivered += dead.length
      return true
    }
    if (dead.length > 1) {
      const half = dead.length >> 1
      return (await deliver(dead.slice(0, half))) && (await deliver(dead.slice(half)))
    }
    const { reason } = answer
    if (answer.outcome === 'refused') refuse({ seq: first.push.seq, reason })
    else if (suspect) return false
    else suspect = { seq: first.push.seq, reason }
    return true
  }

  for (let after = 0; ; ) {
    const page = await listDeadDeliveries(db, target.name, after, target.maxPushes)
    for (const batch of batchesOf(page.map(deadOf), target.maxBytes))
      if (!(await deliver(batch))) return { ...result, unanswered: suspect?.reason }
    if (page.length === 0) return { ...result, unanswered: suspect?.reason }
    after = page.at(-1)?.id ?? after
  }
}

const BEGIN = '{"to_user":'
const MIDDLE = ',"notification":'

/** The notification stays as it was written, byte for byte. */
function deadOf({ id, seq, payload, attempts, diedAt }: DeadDelivery): Dead {
  const end = payload.indexOf(']') + 1
  const users = JSON.parse(payload.slice(BEGIN.length, end)) as string[]
  const notification = payload.slice(end + MIDDLE.length, -1)
  return { id, push: { seq, users, notification, attempts, loggedAt: diedAt.getTime() } }
}

function* batchesOf(dead: Dead[], maxBytes: number): Generator<Dead[]> {
  let batch: Dead[] = []
  let bytes = 0
  for (const each of dead) {
    const size = sizeOf(each.push)
    if (batch.length > 0 && bytes + size > maxBytes) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(each)
    bytes += size
  }
  if (batch.length > 0) yield batch
}
